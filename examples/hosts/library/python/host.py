"""A host in Python that records a run with libpipefold, and sends it to DX.

    DX_API_URL=… DX_API_TOKEN=… python host.py notifications.jsonl spool

The first notification is the run's start and the last its finish; the others are its steps. Prints the verdict of each, what the rules say of a
wrong one, and the run as DX's rule folds it.
"""

import json
import os
import sys

import pipefold


def main(notifications, spool):
    sys.stdout.reconfigure(encoding="utf-8")
    with open(notifications, encoding="utf-8") as lines:
        start, *steps, finish = history = [json.loads(line) for line in lines]
    config = {"dx_url": os.environ["DX_API_URL"], "token": os.environ["DX_API_TOKEN"], "spool": spool}
    with pipefold.Reporter(config, log=lambda level, message: print(f"{level}: {message}", file=sys.stderr)) as reporter:
        say("start", reporter.start(start))
        for step in steps:
            say("step", reporter.step(step))
        say("finish", reporter.finish(finish))
        merged = reporter.merge(history)
        try:
            reporter.step({**steps[0], "status": "won"})
        except pipefold.Error as refused:
            print("refused", refused.violations[0]["field"], refused.violations[0]["fault"])
        print(json.dumps(reporter.merge(history), sort_keys=True, separators=(",", ":"), ensure_ascii=False))


def say(call, receipt):
    print(call, receipt["verdict"])
    # It is recorded all the same, and sent by a later call or flush.
    if receipt["trouble"]:
        print(receipt["trouble"], file=sys.stderr)


main(*sys.argv[1:])
