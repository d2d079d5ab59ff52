"""The C library: an archive with the header, the shared and the static library, and a file for pkg-config."""

import archive
from archive import Entry
from release import ROOT


def library(release, processor, directory):
    """NAME-VERSION-lib-PROCESSOR/include and lib, and the licences on top."""
    name = f"pipefold-{release.version}-lib-{processor}"
    config = (ROOT / "host/c/pipefold.pc.in").read_text()
    config = config.replace("@version@", release.version).replace("@repository@", release.repository)
    files = [
        Entry("include/pipefold.h", (ROOT / "host/c/include/pipefold.h").read_bytes()),
        Entry("lib/libpipefold.so.1", (directory / "libpipefold.so").read_bytes(), 0o755),
        # A linker looks for this name, and a program for the other.
        Entry("lib/libpipefold.so", b"libpipefold.so.1", archive.LINK),
        Entry("lib/libpipefold.a", (directory / "libpipefold.a").read_bytes()),
        Entry("lib/pkgconfig/pipefold.pc", config.encode()),
        Entry("share/doc/pipefold/library.md", (ROOT / "docs/library.md").read_bytes()),
        *release.documents(),
    ]
    data = archive.tar(files, release.time, prefix=f"{name}/")
    archive.write(release.out / f"{name}.tar.gz", archive.gz(data, release.level))
