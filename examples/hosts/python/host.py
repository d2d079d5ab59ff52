"""A host in Python: loads the component with wasmtime, and calls its hooks.

    python host.py default.wasm notifications.jsonl

Prints what each hook says, one JSON object a line, as `pipefold hook` does. With DX_API_URL and DX_API_TOKEN it then sends the run and its jobs to DX.
policies.py beside it puts policies in front, with limits of memory and time.
"""

import json
import os
import sys
import urllib.request

from wasmtime import Engine, Store
from wasmtime.component import Component, Linker, Record

HOOKS = "pipefold:ci/hooks@0.2.0"
MERGING = "pipefold:ci/merging@0.2.0"
FLAGS = ("allowed_to_fail", "urgent")
FIELDS = (
    "pipeline_name pipeline_source reference_id started_at finished_at status repository commit_sha pr_number "
    "source_url head_branch email github_username gitlab_username step step_id"
).split()


class Refused(Exception):
    """The rules refused the notification, or the history. `violations` has the faults, field by field."""

    def __init__(self, violations):
        super().__init__("; ".join(f"{violation['field']}: {violation['message']}" for violation in violations))
        self.violations = violations


class Plugin:
    def __init__(self, path, engine=None):
        self.engine = engine or Engine()
        self.component = Component.from_file(self.engine, path)
        # It imports nothing, so there is nothing to define: no file, no network, no clock.
        self.linker = Linker(self.engine)

    def new_store(self):
        return Store(self.engine)

    def call(self, interface, function, argument):
        """Calls a function in a fresh instance, which shares nothing with any other call."""
        store = self.new_store()
        instance = self.linker.instantiate(store, self.component)
        interface = instance.get_export_index(store, interface)
        export = instance.get_export_index(store, function, interface)
        return instance.get_func(store, export)(store, argument)

    def hook(self, function, argument):
        answer = accepted(self.call(HOOKS, function, argument))
        if isinstance(answer, Record):
            return {"verdict": "report", **from_report(answer)}
        if answer is None:
            return {"verdict": "hold"}
        return {"verdict": "discard", "reason": answer}

    def merge(self, history):
        return from_report(accepted(self.call(MERGING, "merge", history)))


def accepted(answer):
    """`result<T, list<violation>>`: wasmtime gives the payload alone, and nothing but the violations is a list."""
    if isinstance(answer, list):
        raise Refused([vars(violation) | {"fault": violation.fault.replace("-", "_")} for violation in answer])
    return answer


def to_record(notification):
    """DX's names have `_` where the contract has `-`. An absent field is None, or False for a flag."""
    record = Record()
    for name in FIELDS:
        setattr(record, name.replace("_", "-"), notification.get(name))
    for name in FLAGS:
        setattr(record, name.replace("_", "-"), notification.get(name, False))
    record.attributes = [attribute(*pair) for pair in notification.get("attributes", {}).items()]
    return record


def attribute(key, value):
    record = Record()
    record.key, record.value = key, value
    return record


def from_record(record):
    return {name.replace("-", "_"): value for name, value in vars(record).items() if value is not None}


def from_report(report):
    run = from_record(report.run)
    # As JSON, attributes are an object, and none are left out.
    attributes = {one.key: one.value for one in run.pop("attributes")}
    if attributes:
        run["attributes"] = attributes
    return {"run": run, "jobs": [from_record(job) for job in report.jobs]}


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A token must not follow to wherever a redirect points."""

    def redirect_request(self, *_):
        return None


def tell_dx(run, jobs):
    # DX has no field for attributes, and its page lists four statuses of a run; `unknown` is sent as none.
    body = {name: value for name, value in run.items() if name != "attributes" and (name, value) != ("status", "unknown")}
    post("pipelineRuns.upsert", body)
    # DX takes a job only after its run.
    for job in jobs:
        post("pipelineJobs.upsert", job | {"pipeline_source": run["pipeline_source"], "run_reference_id": run["reference_id"]})


def post(method, body):
    request = urllib.request.Request(
        os.environ["DX_API_URL"].rstrip("/") + "/api/" + method,
        data=canonical(body).encode(),
        headers={"Authorization": "Bearer " + os.environ["DX_API_TOKEN"], "Content-Type": "application/json"},
    )
    with urllib.request.build_opener(NoRedirect).open(request, timeout=10) as response:
        answer = json.load(response)
    if answer.get("ok") is not True:
        sys.exit(f"DX refused {method}: {answer}")


def main(component, notifications):
    plugin = Plugin(component)
    with open(notifications, encoding="utf-8") as lines:
        history = [to_record(json.loads(line)) for line in lines]
    start, step, *_ = history

    finish = plugin.hook("pipeline-finish", history)
    for said in (plugin.hook("pipeline-start", start), plugin.hook("step", step), finish, plugin.merge(history)):
        sys.stdout.buffer.write(canonical(said).encode() + b"\n")

    if "DX_API_URL" in os.environ and finish["verdict"] == "report":
        tell_dx(finish["run"], finish["jobs"])


if __name__ == "__main__":
    main(*sys.argv[1:])
