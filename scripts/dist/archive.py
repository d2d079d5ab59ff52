"""Archives whose bytes depend on their content alone: entries sorted, owners root, times the release's."""

import gzip
import io
import tarfile
import zipfile
from pathlib import Path
from typing import NamedTuple


# In place of permissions: a symbolic link, whose bytes are the path that it leads to. In tar archives alone.
LINK = -1


class Entry(NamedTuple):
    """A file of a package: its path there, its bytes, its permissions."""

    path: str
    data: bytes
    mode: int = 0o644


def tar(entries, time, *, prefix="", directories=True, root="", owners=None):
    """A tar archive. `owners` gives paths another user id than root's; `root` is the name of the top directory, if it has an entry."""
    owners = owners or {}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        made = set()

        def add(name, mode, data=None):
            info = tarfile.TarInfo(name)
            info.mode, info.mtime = 0o777 if mode == LINK else mode, time
            owner = owners.get(name.rstrip("/"), 0)
            info.uid = info.gid = owner
            # Names of users differ between machines; the numbers decide.
            info.uname = info.gname = "root" if owner == 0 else ""
            if data is None:
                info.type = tarfile.DIRTYPE
                archive.addfile(info)
            elif mode == LINK:
                info.type, info.linkname = tarfile.SYMTYPE, data.decode()
                archive.addfile(info)
            else:
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))

        if root:
            add(root, 0o755)
        for entry in sorted(entries):
            name = prefix + entry.path
            if directories:
                # Once each: container engines refuse a layer that has a path twice.
                parts = name.rstrip("/").split("/")[:-1]
                for depth in range(1, len(parts) + 1):
                    directory = "/".join(parts[:depth])
                    if directory not in made and directory not in ("", "."):
                        made.add(directory)
                        add(directory, 0o755)
            if name.endswith("/"):
                made.add(name.rstrip("/"))
                add(name.rstrip("/"), entry.mode)
            else:
                add(name, entry.mode, entry.data)
    return buffer.getvalue()


def gz(data, level):
    """The bytes, compressed, without a time or a name."""
    return gzip.compress(data, compresslevel=level, mtime=0)


def zipped(entries, level):
    """A zip archive, as a wheel is. Its format has no time before 1980, and wheels that depend on their content alone have that one."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for entry in entries:
            info = zipfile.ZipInfo(entry.path, (1980, 1, 1, 0, 0, 0))
            # A regular file; the format of Unix, so that installers take the permissions.
            info.external_attr = (0o100000 | entry.mode) << 16
            info.create_system = 3
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, entry.data)
    return buffer.getvalue()


def ar(members, time):
    """A Unix archive, as a Debian package is: name and bytes of each member."""
    archive = b"!<arch>\n"
    for name, data in members:
        archive += f"{name:<16}{time:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode()
        archive += data + (b"\n" if len(data) % 2 else b"")
    return archive


def write(path, data):
    """Writes a file of the release, and prints its size."""
    Path(path).write_bytes(data)
    print(f"{len(data):>10}  {Path(path).name}")
