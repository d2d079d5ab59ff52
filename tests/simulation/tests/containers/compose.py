"""compose.yaml and its Containerfile, read as an engine reads them, as far as the example goes."""

import json
import os
import re
import time

import yaml

from container import Container, Image

PIPEFOLD_IMAGE = "pipefold-fleet"
NATS_IMAGE = "nats:2.15-alpine"


def interpolate(text, variables):
    """`$$`, `${NAME}` and `${NAME:?message}`; what is required and missing is an error, as with the real one."""

    def one(match):
        if match[0] == "$$":
            return "$"
        if match["name"] not in variables:
            raise SystemExit(f"compose.yaml needs {match['name']}: {match['message']}")
        return variables[match["name"]]

    return re.sub(r"\$\$|\$\{(?P<name>\w+)(:\?(?P<message>[^}]*))?\}", one, text)


def seconds(text):
    return float(re.fullmatch(r"(\d+)s", text)[1])


def image_of(containerfile, built):
    """The image of a Containerfile's last stage. `built`: what its first stage would have made, and has, by its path there."""
    with open(containerfile, encoding="utf-8") as lines:
        stage = re.split(r"(?m)^FROM ", lines.read())[-1].splitlines()
    files, directories, environment, entrypoint, user = {}, [], {}, [], (0, 0)
    for line in stage[1:]:
        word, _, rest = line.partition(" ")
        if word == "COPY":
            options = dict(option[2:].split("=") for option in rest.split() if option.startswith("--"))
            source, place = [part for part in rest.split() if not part.startswith("--")]
            if built[source] is None:
                directories.append((place, tuple(map(int, options["chown"].split(":")))))
            else:
                files[place] = built[source]
        elif word == "USER":
            user = tuple(map(int, rest.split(":")))
        elif word == "ENV":
            key, _, value = rest.partition("=")
            environment[key] = value
        elif word == "ENTRYPOINT":
            entrypoint = json.loads(rest)
        elif word not in ("", "#", "EXPOSE"):
            raise SystemExit(f"{containerfile}: {word} is not known here")
    return Image(files, environment, entrypoint, user, directories)


def services(file, variables):
    with open(file, encoding="utf-8") as text:
        return yaml.safe_load(interpolate(text.read(), variables))["services"]


class Project:
    """`docker compose`, for one file."""

    def __init__(self, file, services, images, addresses, work):
        self.services = services
        self.directory, self.images, self.addresses, self.work = os.path.dirname(file), images, addresses, work
        self.running = {}
        # Services that have ended, as they should.
        self.completed = set()

    def container(self, service, command=None, name=None):
        it, name = self.services[service], name or service
        image = self.images[it["image"]]
        entrypoint = it.get("entrypoint", image.entrypoint)
        return Container(
            name,
            image,
            [*entrypoint, *(command or it.get("command", []))],
            self.addresses.of[name],
            self.addresses.hosts(),
            self.work,
            environment=it.get("environment"),
            mounts=[self.mount(volume, image) for volume in it.get("volumes", [])],
            read_only=it.get("read_only", False),
            locked=it.get("cap_drop") == ["ALL"] and it.get("security_opt") == ["no-new-privileges:true"],
        )

    def mount(self, volume, image):
        source, place, *mode = volume.split(":")
        if source.startswith("."):
            return os.path.join(self.directory, source), place, mode == ["ro"]
        path = os.path.join(self.work, "volumes", source)
        if not os.path.isdir(path):
            os.makedirs(path)
            os.chown(path, *dict(image.directories).get(place, (0, 0)))
        return path, place, mode == ["ro"]

    def run(self, service, command):
        """`compose run --rm --no-deps`: exit code and stdout."""
        return self.container(service, command, "once").run()

    def up(self):
        for service in self.services:
            self._up(service)

    def _up(self, service):
        if service in self.running:
            return
        it = self.services[service]
        for other, how in it.get("depends_on", {}).items():
            self._up(other)
            if how["condition"] == "service_healthy":
                self.await_health(other)
            elif how["condition"] == "service_completed_successfully":
                self._await_success(other)
            else:
                raise SystemExit(f"{service}: {how} is not known here")
        self.running[service] = self.container(service)
        self.running[service].start()

    def _await_success(self, service):
        if service in self.completed:
            return
        tries = 10 if self.services[service].get("restart") == "on-failure" else 1
        for _ in range(tries):
            code, out = self.running[service].wait()
            if code == 0:
                print(f"{service}: {out.strip()}", flush=True)
                self.completed.add(service)
                return
            self.running[service].start()
        raise SystemExit(f"{service} failed: {self.running[service].log()}")

    def await_health(self, service):
        check = self.services[service]["healthcheck"]
        kind, *command = check["test"]
        assert kind == "CMD", check
        for _ in range(check["retries"]):
            if self.running[service].succeeds(command):
                return
            self.running[service].check()
            time.sleep(seconds(check["interval"]))
        raise SystemExit(f"{service} is not healthy: {self.running[service].log()}")

    def check(self):
        """That everything runs that should."""
        for service in self.running.keys() - self.completed:
            self.running[service].check()

    def stop(self):
        """`compose stop`, those first that depend on others."""
        for service in reversed(list(self.services)):
            container = self.running.pop(service)
            if service in self.completed:
                continue
            container.stop(seconds(self.services[service]["stop_grace_period"]))
        self.completed.clear()
