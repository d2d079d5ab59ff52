#!/usr/bin/env python3
"""Measures what waits in a spool costs a build: start, finish and exec, with a backlog, for each way in which DX may answer, on a disk as it
is and on one whose syncs take 10 ms longer (needs strace).

    scripts/backlog.py target/release/pipefold [--backlog 0,300,3000,30000] [--dx ok,refused,…] [--sync 0,10] [--repeat 1]

No cell may exceed its command's budget by more than 50 ms and the syncs of the command's own record."""

import argparse
import hashlib
import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

BUDGETS = {"start": 1.0, "finish": 5.0, "exec": 5.0}
# Syncs of one record: its file, `runs`, its run's directory. `exec` records two, the second without `runs`.
OWN_SYNCS = {"start": 3, "finish": 3, "exec": 5}
SLACK = 0.05
ANSWERS = {
    "ok": (200, {}, {"ok": True}),
    "429": (429, {"Retry-After": "60"}, {"ok": False, "error": "ratelimited"}),
    "500": (500, {}, {"ok": False, "error": "internal"}),
    "unlisted": (200, {}, {"ok": False, "error": "internal_error", "message": "try later"}),
}


class Dx(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answer = ANSWERS["ok"]

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, headers, body = self.answer
        body = json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def environment(spool, url):
    return {
        "PATH": os.environ["PATH"], "HOME": spool, "CI": "true", "PIPEFOLD_SPOOL": os.path.join(spool, "spool"), "DX_API_URL": url,
        "DX_API_TOKEN": "backlog-token-0000",
    }


def fields(name):
    return ["--pipeline-name", "p", "--pipeline-source", "bench", "--reference-id", name]


def command(pipefold, which, name):
    if which == "exec":
        return [pipefold, "exec", *fields(name), "--", "true"]
    more = ["--status", "success"] if which == "finish" else []
    return [pipefold, which, *fields(name), *more]


def fill(pipefold, root, url, count):
    """Puts `count` finished runs there that were recorded for this DX, as the command itself records them."""
    subprocess.run([pipefold, "step", "--step", "s", *fields("template")], env=environment(root, url), check=True)
    runs = os.path.join(root, "spool", "runs")
    [template] = os.listdir(runs)
    [record] = [name for name in os.listdir(os.path.join(runs, template)) if name.endswith(".json")]
    with open(os.path.join(runs, template, record), encoding="utf8") as file:
        entry = json.load(file)
    shutil.rmtree(os.path.join(runs, template))
    entry["hook"] = "finish"
    entry["notification"].update(step=None, status="success", finished_at="2025-01-01T12:10:00Z", started_at="2025-01-01T12:05:00Z")
    for number in range(count):
        name = f"left-{number}"
        entry["notification"]["reference_id"] = name
        entry["verdict"] = {"report": {
            "pipeline_name": "p", "pipeline_source": "bench", "reference_id": name, "started_at": "2025-01-01T12:05:00Z",
            "finished_at": "2025-01-01T12:10:00Z", "status": "success",
        }}
        directory = os.path.join(runs, hashlib.sha256(name.encode()).hexdigest()[:32])
        os.mkdir(directory, 0o700)
        with open(os.path.join(directory, f"{number:032x}.json"), "w", encoding="utf8") as file:
            json.dump(entry, file)


def measure(arguments, root, url, delay, sequence):
    times = {}
    for which in ("start", "finish", "exec"):
        words = command(arguments.pipefold, which, f"own-{sequence}-{which}")
        if delay:
            injected = f"inject=fsync,fdatasync:delay_exit={delay * 1000}"
            words = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", injected, *words]
        begun = time.monotonic()
        done = subprocess.run(words, env=environment(root, url), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=300)
        times[which] = time.monotonic() - begun
        if done.returncode != 0:
            sys.exit(f"backlog: {' '.join(words)} ended with {done.returncode}")
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pipefold")
    parser.add_argument("--backlog", default="0,300,3000,30000")
    parser.add_argument("--dx", default="ok,refused,hang,429,500,unlisted")
    parser.add_argument("--sync", default="0,10", help="milliseconds that each sync takes longer")
    parser.add_argument("--repeat", type=int, default=1, help="rounds, of which the quickest counts")
    arguments = parser.parse_args()
    delays = [int(delay) for delay in arguments.sync.split(",")]
    if any(delays) and not shutil.which("strace"):
        print("backlog: no strace, so slow syncs are not measured", file=sys.stderr)
        delays = [0]

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Dx)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hang = socket.socket()
    hang.bind(("127.0.0.1", 0))
    hang.listen(512)
    closed = socket.socket()
    closed.bind(("127.0.0.1", 0))

    over = 0
    print("| backlog | DX | sync | start (1 s) | finish (5 s) | exec (5 s) |\n|---|---|---|---|---|---|")
    for backlog in map(int, arguments.backlog.split(",")):
        for dx in arguments.dx.split(","):
            port = {"refused": closed, "hang": hang}.get(dx)
            url = f"http://127.0.0.1:{port.getsockname()[1] if port else server.server_address[1]}"
            Dx.answer = ANSWERS.get(dx, ANSWERS["ok"])
            for delay in delays:
                cells = {}
                for sequence in range(arguments.repeat):
                    with tempfile.TemporaryDirectory(prefix="pipefold-backlog-") as root:
                        fill(arguments.pipefold, root, url, backlog)
                        for which, took in measure(arguments, root, url, delay, sequence).items():
                            cells[which] = min(took, cells.get(which, took))
                row = []
                for which, took in cells.items():
                    most = BUDGETS[which] + SLACK + OWN_SYNCS[which] * delay / 1000
                    over += took > most
                    row.append(f"**{took:.3f}**" if took > most else f"{took:.3f}")
                print(f"| {backlog} | {dx} | +{delay} ms | {' | '.join(row)} |", flush=True)
    if over:
        sys.exit(f"backlog: {over} cells are over their budget")


if __name__ == "__main__":
    main()
