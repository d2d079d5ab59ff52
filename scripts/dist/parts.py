#!/usr/bin/env python3
"""Prints the list of the command's parts (CycloneDX 1.5, JSON), from `cargo metadata` and Cargo.lock.

    scripts/dist/parts.py TARGET[,TARGET…] [FEATURE…]

It lists what is linked into the executables or ran as a macro of them: no build scripts' dependencies and no tests'. Times and the serial number
follow from SOURCE_DATE_EPOCH and the content."""

import json
import os
import subprocess
import sys
import tomllib
import uuid
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def cargo(*arguments):
    manifest = ["--manifest-path", ROOT / "host/cli/Cargo.toml"]
    return subprocess.run(["cargo", *arguments, "--locked", *manifest], check=True, stdout=subprocess.PIPE, text=True).stdout


def main(targets, *features):
    targets = targets.split(",")
    options = ["--features", ",".join(features)]
    found = json.loads(cargo("metadata", "--format-version", "1", *(f"--filter-platform={target}" for target in targets), *options))
    # The former resolves the features of the whole workspace, the latter those of this build.
    tree = cargo("tree", "--edges", "normal", "--prefix", "none", *(f"--target={target}" for target in targets), *options)
    built = {tuple(line.split()[:2]) for line in tree.splitlines() if line}
    packages = {package["id"]: package for package in found["packages"]}
    nodes = {node["id"]: node for node in found["resolve"]["nodes"]}
    checksums = {
        (package["name"], package["version"]): package.get("checksum")
        for package in tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    }
    [command_id] = [id for id, package in packages.items() if package["name"] == "pipefold-cli"]

    def depends_on(id):
        dependencies = nodes[id]["deps"]
        normal = [dep["pkg"] for dep in dependencies if any(kind["kind"] is None for kind in dep["dep_kinds"])]
        return [id for id in normal if (packages[id]["name"], f"v{packages[id]['version']}") in built]

    linked, waiting = set(), [command_id]
    while waiting:
        id = waiting.pop()
        if id not in linked:
            linked.add(id)
            waiting.extend(depends_on(id))

    def purl(id):
        return f"pkg:cargo/{packages[id]['name']}@{packages[id]['version']}"

    def component(id):
        package = packages[id]
        part = {
            "type": "application" if id == command_id else "library",
            "bom-ref": purl(id),
            "name": package["name"],
            "version": package["version"],
            "purl": purl(id),
        }
        if package["description"]:
            part["description"] = " ".join(package["description"].split())
        if package["license"]:
            # An old form of `OR` that the list's format does not have.
            part["licenses"] = [{"expression": " ".join(package["license"].replace("/", " OR ").split())}]
        if checksum := checksums.get((package["name"], package["version"])):
            part["hashes"] = [{"alg": "SHA-256", "content": checksum}]
        if package["repository"]:
            part["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
        return part

    others = sorted(linked - {command_id}, key=purl)
    moment = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), timezone.utc)
    content = {
        "metadata": {"timestamp": moment.strftime("%Y-%m-%dT%H:%M:%SZ"), "component": component(command_id)},
        "components": [component(id) for id in others],
        "dependencies": [
            {"ref": purl(id), "dependsOn": sorted(set(map(purl, depends_on(id))))} for id in [command_id, *others]
        ],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(content, sort_keys=True))
    head = {"bomFormat": "CycloneDX", "specVersion": "1.5", "serialNumber": serial.urn, "version": 1}
    json.dump(head | content, sys.stdout, indent=1, ensure_ascii=False)
    print()


main(*sys.argv[1:])
