"""follow_kubernetes.py NATS-SERVER PIPEFOLD: the pods of the manifests as processes in namespaces of their own, without an
orchestrator: their commands, users, mounts, secrets and probes. The nodes are compose.yaml's, since the chart's cannot be had here."""

import re
import subprocess

import yaml

import compose
import network
from manifests import Pod, resources
from world import DX, follow, is_empty, is_well, until

QUEUE = "nats.pipefold.svc"


def read(path):
    with open(path, "rb") as file:
        return file.read()


def secrets(world):
    """As README.md makes them, and the token of the gateways."""
    add = [world.pipefold, "token", "add", "builds", "--write", "--data-dir", f"{world.work}/tokens"]
    token = subprocess.run(add, check=True, capture_output=True, text=True).stdout.strip()
    return token, {
        "pipefold-queue": {"token": read(f"{world.secrets}/queue-token")},
        "pipefold-dx": {"token": read(f"{world.secrets}/dx-token")},
        "pipefold-gateway-tokens": {"tokens.json": read(f"{world.work}/tokens/tokens.json")},
        "nats-tls": {"ca.crt": read(f"{world.secrets}/ca.pem")},
    }


def give_room(world):
    """The nodes get as much of it as the chart's values give them."""
    with open(f"{world.example}/kubernetes/nats-values.yaml", encoding="utf-8") as text:
        size = yaml.safe_load(text)["config"]["jetstream"]["fileStore"]["pvc"]["size"]
    path = f"{world.example}/nats-container.conf"
    text, count = re.subn(r"max_file_store: \S+", f"max_file_store: {size}", read(path).decode())
    assert count == 1
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def scenario(world):
    give_room(world)
    file = f"{world.example}/compose.yaml"
    nodes = {name: it for name, it in compose.services(file, {"DX_API_URL": ""}).items() if it["image"] == compose.NATS_IMAGE}
    directory = f"{world.example}/kubernetes"
    found = resources(*(f"{directory}/{name}.yaml" for name in ("queue", "forwarders", "gateways")))
    job, deployment = found["Job", "pipefold-queue-init"], found["Deployment", "pipefold-forwarder"]
    stateful, service = found["StatefulSet", "pipefold-gateway"], found["Service", "pipefold"]
    names = [
        [f"{workload['metadata']['name']}-{number}" for number in range(workload["spec"].get("replicas", 1))]
        for workload in (job, deployment, stateful)
    ]
    addresses = world.addresses([*nodes, *sum(names, [])])
    addresses.of[QUEUE] = addresses.of["nats-0"]
    token, kept = secrets(world)
    [init], forwarders, gateways = (
        [Pod(name, workload, world.image, kept, addresses, world.work) for name in of]
        for workload, of in zip((job, deployment, stateful), names)
    )
    project = compose.Project(file, nodes, world.images, addresses, world.work)
    project.up()
    for node in nodes:
        project.await_health(node)
    code, made = init.run()
    assert code == 0 and made.startswith("made "), made
    for round_number in range(2):
        for pod in [*forwarders, *gateways]:
            pod.start()
        for pod in [*forwarders, *gateways]:
            probes = list(pod.probes())
            assert probes, pod.name
            for url in probes:
                until(url, lambda: is_well(url))
        [port] = service["spec"]["ports"]
        for number, gateway in enumerate(gateways):
            if round_number == 0:
                network.relay(("127.0.0.1", 8000 + number), (addresses.of[gateway.name], gateway.ports[port["targetPort"]]))
            world.report(f"http://127.0.0.1:{8000 + number}", token, f"{gateway.name}/{round_number}")
        check = ["--queue-token-file", "/queue/token", "--json", "queue", "check"]
        until("the end of the queue", lambda: is_empty(init.run(check)))
        assert forwarders[0].running.succeeds(["pipefold", *check]), "the command that README.md has for looking at the queue"
        for pod in [*gateways, *forwarders]:
            pod.stop()
    world.expect(f"{gateway.name}/{round_number}" for gateway in gateways for round_number in range(2))


follow(scenario)
