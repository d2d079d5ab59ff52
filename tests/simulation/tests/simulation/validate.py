"""validate.py: compose.yaml and the manifests against the schemas of their formats, for which unknown fields are errors, and the settings that
keep containers safe and available."""

import os
import subprocess
import sys

import yaml

FLEET = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../../examples/fleet")
COMPOSE = os.path.join(FLEET, "compose.yaml")
FILES = [os.path.join(FLEET, "kubernetes", f"{name}.yaml") for name in ("queue", "forwarders", "gateways")]


def check(program, *arguments):
    subprocess.run([os.path.join(os.path.dirname(sys.executable), program), *arguments], check=True)


check("check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE)
with open(COMPOSE, encoding="utf-8") as text:
    compose = yaml.safe_load(text)
for name, service in compose["services"].items():
    # A name that is used is defined.
    for kind in ("secrets", "configs"):
        used = {one if isinstance(one, str) else one["source"] for one in service.get(kind, [])}
        assert used <= set(compose.get(kind, {})), (name, used)
    assert set(service.get("depends_on", [])) <= set(compose["services"]), name
    volumes = [one.split(":")[0] if isinstance(one, str) else one.get("source", "") for one in service.get("volumes", [])]
    for volume in volumes:
        # A path is beside the file, or made by certificates.sh.
        assert volume.startswith((".", "/")) or volume in compose["volumes"], (name, volume)

check("kubernetes-validate", "--strict", *FILES)
found = {}
for file in FILES:
    with open(file, encoding="utf-8") as text:
        found |= {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(text)}
for (kind, name), one in found.items():
    if "template" not in one["spec"]:
        continue
    pod = one["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault", name
    assert pod["automountServiceAccountToken"] is False, name
    for container in pod["containers"] + pod.get("initContainers", []):
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] and not security["allowPrivilegeEscalation"], name
        assert security["capabilities"] == {"drop": ["ALL"]}, name
        # Secrets are files: a variable is in every listing of the process.
        assert all("valueFrom" not in variable for variable in container.get("env", [])), name
        assert container["resources"]["limits"]["memory"] and container["resources"]["requests"]["cpu"], name
    if kind == "Job":
        continue
    labels = one["spec"]["template"]["metadata"]["labels"]
    assert one["spec"]["selector"]["matchLabels"] == labels, name
    [budget] = [it for (kind, _), it in found.items() if kind == "PodDisruptionBudget" and it["spec"]["selector"]["matchLabels"] == labels]
    assert budget["spec"]["minAvailable"] < one["spec"]["replicas"], name
