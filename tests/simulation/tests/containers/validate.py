"""validate.py: the manifests against the orchestrator's own schemas, for which unknown fields are errors, and what keeps them safe and up."""

import os
import subprocess
import sys

from manifests import resources

DIRECTORY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../../examples/fleet/kubernetes")
FILES = [os.path.join(DIRECTORY, f"{name}.yaml") for name in ("queue", "forwarders", "gateways")]

subprocess.run([os.path.join(os.path.dirname(sys.executable), "kubernetes-validate"), "--strict", *FILES], check=True)
found = resources(*FILES)
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
