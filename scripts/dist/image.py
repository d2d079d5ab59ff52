"""An image from scratch, as an OCI layout in one tar archive: the executable, certificates, and a user that is not root."""

import json
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path

import archive
from archive import Entry
from release import CONTAINER, SUMMARY

# As in images without a distribution: no user of a system that is run by hand has it.
USER = 65532
ROOTS = "etc/ssl/certs/ca-certificates.crt"


def image(release, builds, roots):
    """The image for all builds. `roots` is a file of certificates; equal files give equal images."""
    blobs = {}

    def blob(data, kind):
        digest = sha256(data).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = data
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)}

    created = datetime.fromtimestamp(release.time, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    labels = {
        "org.opencontainers.image.title": "pipefold",
        "org.opencontainers.image.description": SUMMARY,
        "org.opencontainers.image.version": release.version,
        "org.opencontainers.image.source": release.repository,
        "org.opencontainers.image.licenses": release.licence,
    }
    manifests = []
    for build in sorted(builds, key=lambda build: build.processor):
        layer = archive.tar(
            [
                build.entry("usr/bin/pipefold"),
                Entry(ROOTS, Path(roots).read_bytes()),
                Entry("etc/passwd", f"root:x:0:0::/:/\npipefold:x:{USER}:{USER}::/home/pipefold:/\n".encode()),
                Entry("etc/group", f"root:x:0:\npipefold:x:{USER}:\n".encode()),
                Entry("home/pipefold/", b"", 0o700),
                Entry("tmp/", b"", 0o1777),
                *(
                    entry._replace(path=f"usr/share/doc/pipefold/{entry.path}")
                    for entry in release.documents()
                    if entry.path.startswith("LICENSE")
                ),
            ],
            release.time,
            owners={"home/pipefold": USER},
        )
        packed = archive.gz(layer, release.level)
        config = {
            "created": created,
            "architecture": CONTAINER[build.processor],
            "os": "linux",
            "config": {
                "User": f"{USER}:{USER}",
                "Env": ["PATH=/usr/bin", "HOME=/home/pipefold", f"SSL_CERT_FILE=/{ROOTS}"],
                "Entrypoint": ["/usr/bin/pipefold"],
                "WorkingDir": "/home/pipefold",
                "Labels": labels,
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(layer).hexdigest()}"]},
            "history": [{"created": created, "created_by": "make dist"}],
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": blob(compact(config), "application/vnd.oci.image.config.v1+json"),
            "layers": [blob(packed, "application/vnd.oci.image.layer.v1.tar+gzip")],
        }
        platform = {"architecture": CONTAINER[build.processor], "os": "linux"}
        described = blob(compact(manifest), "application/vnd.oci.image.manifest.v1+json")
        manifests.append(described | {"platform": platform})
    kind = "application/vnd.oci.image.index.v1+json"
    index = blob(compact({"schemaVersion": 2, "mediaType": kind, "manifests": manifests}), kind)
    index["annotations"] = {"org.opencontainers.image.ref.name": release.version}
    files = [Entry(name, data) for name, data in blobs.items()]
    files.append(Entry("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'))
    files.append(Entry("index.json", compact({"schemaVersion": 2, "manifests": [index]})))
    archive.write(release.out / f"pipefold-{release.version}-oci.tar", archive.tar(files, release.time))


def compact(value):
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
