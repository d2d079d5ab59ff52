"""The manifests of kubernetes/, read as the orchestrator reads them, as far as the example goes."""

import os

import yaml

from container import Container


def resources(*files):
    """All of them, by kind and name."""
    found = {}
    for file in files:
        with open(file, encoding="utf-8") as text:
            for one in yaml.safe_load_all(text):
                found[one["kind"], one["metadata"]["name"]] = one
    return found


class Pod:
    """One pod of a workload. `secrets`: by name, what is in them by key."""

    def __init__(self, name, workload, image, secrets, addresses, work):
        self.name, self._image, self._work, self._addresses = name, image, work, addresses
        self.spec = workload["spec"]["template"]["spec"]
        self.ports = {port["name"]: port["containerPort"] for port in self._main().get("ports", [])}
        security = self.spec["securityContext"]
        assert security["runAsNonRoot"] and security["runAsUser"] != 0
        self._user = (security["runAsUser"], security["runAsGroup"])
        self._volumes = {
            volume["name"]: self._secret(volume["secret"], secrets[volume["secret"]["secretName"]]) for volume in self.spec["volumes"]
        }
        for claim in workload["spec"].get("volumeClaimTemplates", []):
            path = os.path.join(work, "claims", f"{claim['metadata']['name']}-{name}")
            os.makedirs(path, exist_ok=True)
            # As it is with fsGroup: a new volume is the group's, and what is made in it too.
            os.chown(path, 0, security["fsGroup"])
            os.chmod(path, 0o2775)
            self._volumes[claim["metadata"]["name"]] = path
        self.running = None

    def _main(self):
        [container] = self.spec["containers"]
        return container

    def _secret(self, secret, content):
        path = os.path.join(self._work, "secrets", self.name, secret["secretName"])
        os.makedirs(path, exist_ok=True)
        for item in secret.get("items") or [{"key": key, "path": key} for key in content]:
            place = os.path.join(path, item["path"])
            with open(place, "wb") as file:
                file.write(content[item["key"]])
            os.chmod(place, secret["defaultMode"])
        return path

    def container(self, it, args=None):
        security = it["securityContext"]
        assert not security["allowPrivilegeEscalation"] and security["capabilities"]["drop"] == ["ALL"]
        return Container(
            self.name,
            self._image,
            [*it.get("command", self._image.entrypoint), *(args or it.get("args", []))],
            self._addresses.of[self.name],
            self._addresses.hosts(),
            self._work,
            environment={variable["name"]: variable["value"] for variable in it.get("env", [])},
            mounts=[(self._volumes[mount["name"]], mount["mountPath"], mount.get("readOnly", False)) for mount in it["volumeMounts"]],
            read_only=security["readOnlyRootFilesystem"],
            locked=True,
            user=self._user,
        )

    def start(self):
        for it in self.spec.get("initContainers", []):
            container = self.container(it)
            assert container.run()[0] == 0, container.log()
        self.running = self.container(self._main())
        self.running.start()

    def run(self, args=None):
        """To its end, with other arguments if there are any: exit code and stdout."""
        return self.container(self._main(), args).run()

    def probes(self):
        """Addresses of what is asked for its health."""
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            if probe := self._main().get(kind):
                get = probe["httpGet"]
                yield f"http://{self._addresses.of[self.name]}:{self.ports[get['port']]}{get['path']}"

    def stop(self):
        self.running.stop(self.spec["terminationGracePeriodSeconds"])
