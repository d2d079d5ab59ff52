"""What is around the containers: certificates, a DX, and runners on this machine."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

import compose
import network
from container import Image
from dx import TOKEN, Dx

EXAMPLE = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../../../examples/fleet"))
DX = "yourinstance.getdx.net"
# What takes longer has failed: a busy machine takes a tenth of it, and what a forwarder lost comes to another after half a minute.
PATIENCE = 120


def until(what, works):
    deadline = time.monotonic() + PATIENCE
    while not (result := works()):
        if time.monotonic() > deadline:
            raise SystemExit(f"{what}: not after {PATIENCE} seconds")
        time.sleep(0.1)
    return result


def is_well(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def certificates(directory, *names):
    subprocess.run([f"{EXAMPLE}/certificates.sh", directory, *names], check=True, stdout=subprocess.DEVNULL)


class World:
    """A directory with a copy of the example and its secrets, the images, and a DX whose certificate is of a public authority."""

    def __init__(self, work, nats_server, pipefold):
        network.start()
        self.work, self.pipefold, self.example = work, pipefold, f"{work}/fleet"
        shutil.copytree(EXAMPLE, self.example, ignore=shutil.ignore_patterns("secrets"))
        self.secrets = f"{self.example}/secrets"
        certificates(self.secrets, "nats-0", "nats-1", "nats-2", "nats.pipefold.svc")
        with open(f"{self.secrets}/dx-token", "w", encoding="ascii") as file:
            file.write(f"{TOKEN}\n")
        public = f"{work}/public"
        certificates(public, DX)
        # The paths of what the image's first stage makes and has.
        built = {
            "/build/target/release/pipefold": pipefold,
            "/data": None,
            "/etc/ssl/certs/ca-certificates.crt": f"{public}/ca.pem",
        }
        self.image = compose.image_of(f"{self.example}/Containerfile", built)
        self.images = {compose.PIPEFOLD_IMAGE: self.image, compose.NATS_IMAGE: Image({"/usr/local/bin/nats-server": nats_server})}
        self._dx = Dx((network.GATEWAY, 443), f"{public}/nats.pem", f"{public}/nats.key")

    def addresses(self, names):
        addresses = network.Addresses(names)
        addresses.of[DX] = network.GATEWAY
        return addresses

    def report(self, gateway, token, run):
        """A whole run that succeeds, as a runner of this machine tells it."""
        environment = {"PATH": os.environ["PATH"], "HOME": self.work, "DX_API_URL": gateway, "DX_API_TOKEN": token}
        fields = ["--pipeline-name", "containers", "--pipeline-source", "tests", "--reference-id", run]
        for words in (["start", *fields], ["finish", *fields, "--status", "success"]):
            command = [self.pipefold, "--strict", "--spool", f"{self.work}/spool", *words]
            subprocess.run(command, env=environment, check=True, timeout=PATIENCE)

    def expect(self, runs):
        """That DX has these runs, and no others, as they were reported."""
        found = self._dx.finished()
        assert found == dict.fromkeys(runs, "success"), found
        print(f"DX has {len(found)} runs", flush=True)


def is_empty(answer):
    """Whether nothing is in the queue, by exit code and stdout of `queue check --json`."""
    code, out = answer
    if code != 0:
        return False
    told = json.loads(out)
    assert told["differences"] == [] and all(stream["replicas"] == 3 for stream in told["streams"]), told
    return told["waiting"] == 0 and told["in_hand"] == 0


def follow(scenario):
    """Runs it with a world, and shows what the containers said if it fails."""
    with tempfile.TemporaryDirectory() as work:
        try:
            scenario(World(work, *sys.argv[1:]))
        except BaseException:
            for name in sorted(os.listdir(work)):
                if name.endswith(".log"):
                    with open(f"{work}/{name}", encoding="utf-8", errors="replace") as log:
                        print(f"--- {name}\n{log.read()[-3000:]}", file=sys.stderr)
            raise
