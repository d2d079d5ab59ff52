"""follow_compose.py NATS-SERVER PIPEFOLD: what README.md says of containers, without an engine and images: compose.yaml's services
as processes in namespaces of their own, with its commands, environment, volumes, health checks and order."""

import compose
import network
from world import DX, follow, is_empty, is_well, until

TOKEN_FILE = "--queue-token-file"


def scenario(world):
    file = f"{world.example}/compose.yaml"
    services = compose.services(file, {"DX_API_URL": f"https://{DX}"})
    addresses = world.addresses([*services, "once"])
    project = compose.Project(file, services, world.images, addresses, world.work)
    gateways, forwarders = ([name for name in services if name.startswith(f"{kind}-")] for kind in ("gateway", "forwarder"))
    assert len(gateways) == len(forwarders) == 2
    tokens, urls = {}, {}
    for gateway in gateways:
        code, token = project.run(gateway, ["token", "add", "builds", "--write"])
        assert code == 0, gateway
        tokens[gateway] = token.strip()
        [published] = services[gateway]["ports"]
        here, port, inside = published.split(":")
        network.relay((here, int(port)), (addresses.of[gateway], int(inside)))
        urls[gateway] = f"http://{here}:{port}"
    # Once more, because what the volumes hold has to be good for another start.
    for time_up in ("first", "again"):
        project.up()
        for gateway in gateways:
            until(gateway, lambda: is_well(f"{urls[gateway]}/healthz"))
            world.report(urls[gateway], tokens[gateway], f"{gateway}/{time_up}")
        for forwarder in forwarders:
            until(forwarder, lambda: is_well(f"http://{addresses.of[forwarder]}:9642/healthz"))
        check = [TOKEN_FILE, "/secrets/queue-token", "--json", "queue", "check"]
        until("the end of the queue", lambda: project.check() or is_empty(project.run("init", check)))
        code, _ = project.run(forwarders[0], [TOKEN_FILE, "/secrets/dx-token", "queue", "check"])
        assert code == 1, "the queue takes a token that is not its own"
        project.stop()
    world.expect(f"{gateway}/{time_up}" for gateway in gateways for time_up in ("first", "again"))


follow(scenario)
