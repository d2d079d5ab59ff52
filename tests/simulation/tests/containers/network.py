"""The network of the containers: a bridge, an address for each, and what an engine does for published ports."""

import socket
import subprocess
import threading

BRIDGE = "pf-br"
# Nobody else's: the namespace has no other network.
GATEWAY = "10.89.0.1"


def run(*command):
    subprocess.run(command, check=True, capture_output=True, text=True)


def start():
    # Names of network namespaces are files below it, which go with the mounts of this process.
    run("mount", "-t", "tmpfs", "tmpfs", "/run")
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", BRIDGE, "type", "bridge")
    run("ip", "address", "add", f"{GATEWAY}/24", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")


class Addresses:
    """Addresses by name. They are given before anything starts, as a name server would know them by the time it is asked."""

    def __init__(self, names):
        self.of = {name: f"10.89.0.{number}" for number, name in enumerate(names, start=10)}

    def hosts(self):
        """The lines of /etc/hosts, in place of a name server."""
        return "".join(f"{address} {name}\n" for name, address in {"localhost": "127.0.0.1", **self.of}.items())


def attach(namespace, address):
    """Makes a network namespace of this name with an address on the bridge."""
    number = address.rsplit(".", 1)[1]
    outer = f"v{number}"
    # The same again after another start: the others remember it for half a minute.
    hardware = f"02:00:00:00:00:{int(number):02x}"
    run("ip", "netns", "add", namespace)
    run("ip", "link", "add", outer, "type", "veth", "peer", "name", "eth0", "address", hardware, "netns", namespace)
    run("ip", "link", "set", outer, "master", BRIDGE, "up")
    run("ip", "-n", namespace, "address", "add", f"{address}/24", "dev", "eth0")
    run("ip", "-n", namespace, "link", "set", "eth0", "up")
    run("ip", "-n", namespace, "link", "set", "lo", "up")


def detach(namespace, address):
    run("ip", "link", "delete", f"v{address.rsplit('.', 1)[1]}")
    run("ip", "netns", "delete", namespace)


def relay(listen, to):
    """Passes connections on, for as long as this process lives."""
    listener = socket.create_server(listen)

    def serve(near):
        try:
            far = socket.create_connection(to)
        except OSError:
            near.close()
            return
        threading.Thread(target=copy, args=(far, near), daemon=True).start()
        copy(near, far)

    def accept():
        while True:
            near, _ = listener.accept()
            threading.Thread(target=serve, args=(near,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def copy(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    # Both ends hear of it: HTTP's connections are not half open here.
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
