"""A Python wheel that installs the executable, without any Python code."""

import base64
from hashlib import sha256

import archive
from archive import Entry
from release import ROOT, SUMMARY


def wheel(release, build):
    """One file for glibc and musl: the executable is static, so it needs neither. The glibc tag has the old spelling, too."""
    processor = build.processor
    platforms = [f"manylinux_2_17_{processor}", f"manylinux2014_{processor}", f"musllinux_1_1_{processor}"]
    metadata = (
        f"Metadata-Version: 2.4\nName: pipefold\nVersion: {release.version}\nSummary: {SUMMARY}\n"
        f"Project-URL: Source, {release.repository}\nLicense-Expression: {release.licence}\n"
        + "".join(f"License-File: {name}\n" for name in ("LICENSE", "LICENSE-APACHE", "LICENSE-MIT"))
        + "Requires-Python: >=3.7\nDescription-Content-Type: text/markdown\n\n"
    ).encode() + (ROOT / "README.md").read_bytes()
    tags = "".join(f"Tag: py3-none-{platform}\n" for platform in platforms)
    # Not pure: it holds code of a machine, and goes where such files go.
    about = f"Wheel-Version: 1.0\nGenerator: pipefold\nRoot-Is-Purelib: false\n{tags}"
    info = f"pipefold-{release.version}.dist-info"
    files = [
        build.entry(f"pipefold-{release.version}.data/scripts/pipefold"),
        *(entry._replace(path=f"pipefold-{release.version}.data/data/{entry.path}") for entry in build.pages),
        *(entry._replace(path=f"pipefold-{release.version}.data/data/{entry.path}") for entry in build.completions),
        Entry(f"{info}/METADATA", metadata),
        Entry(f"{info}/WHEEL", about.encode()),
        *(
            entry._replace(path=f"{info}/licenses/{entry.path}")
            for entry in release.documents()
            if entry.path.startswith("LICENSE")
        ),
    ]
    record = "".join(f"{file.path},sha256={digest(file.data)},{len(file.data)}\n" for file in files)
    files.append(Entry(f"{info}/RECORD", f"{record}{info}/RECORD,,\n".encode()))
    name = f"pipefold-{release.version}-py3-none-{'.'.join(platforms)}.whl"
    archive.write(release.out / name, archive.zipped(files, release.level))


def digest(data):
    return base64.urlsafe_b64encode(sha256(data).digest()).rstrip(b"=").decode()
