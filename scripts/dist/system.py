"""Packages that install below a directory: a tar archive, and those of Debian's and Fedora's kin."""

import gzip
import os
import shutil
import subprocess
import textwrap
from hashlib import md5
from pathlib import Path

import archive
from archive import Entry
from release import DEBIAN, SUMMARY

TEXT = "It records each run on disk, applies policies to it in a sandbox, and delivers it to DX."


def tarball(release, build, flavour=""):
    """NAME-VERSION-TARGET/bin, share, and the licences on top."""
    name = f"pipefold{flavour}-{release.version}-{build.target}"
    files = [build.entry("bin/pipefold"), *build.pages, *build.completions, *release.documents()]
    data = archive.tar(files, release.time, prefix=f"{name}/")
    archive.write(release.out / f"{name}.tar.gz", archive.gz(data, release.level))


def below_usr(release, build):
    """The installed files, with manual pages compressed as both systems have them."""
    for entry in build.installed(release.documents()):
        if entry.path.startswith("share/man/"):
            entry = Entry(entry.path + ".gz", gzip.compress(entry.data, 9, mtime=0))
        yield entry._replace(path="usr/" + entry.path)


def deb(release, build):
    """A Debian package. The executable is static, so it depends on nothing; certificates come with `ca-certificates`."""
    # Debian's zsh does not look into the directory of other systems.
    zsh = ("/zsh/site-functions/", "/zsh/vendor-completions/")
    files = [entry._replace(path=entry.path.replace(*zsh)) for entry in below_usr(release, build)]
    licence = (release.documents()[0].data).decode()
    copyright_file = (
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
        f"Upstream-Name: pipefold\nSource: {release.repository}\n\n"
        "Files: *\nCopyright: the authors of pipefold\nLicense: MIT or Apache-2.0\n"
        + "".join(f" {line or '.'}\n" for line in licence.splitlines())
    )
    files.append(Entry("usr/share/doc/pipefold/copyright", copyright_file.encode()))
    control = (
        f"Package: pipefold\nVersion: {release.version}-1\nArchitecture: {DEBIAN[build.processor]}\n"
        "Section: devel\nPriority: optional\nRecommends: ca-certificates\n"
        f"Maintainer: The pipefold authors <{release.repository}>\nHomepage: {release.repository}\n"
        f"Installed-Size: {sum(len(file.data) for file in files) // 1024 + 1}\n"
        f"Description: {SUMMARY}\n{textwrap.fill(TEXT, 79, initial_indent=' ', subsequent_indent=' ')}\n"
    )
    sums = "".join(f"{md5(file.data).hexdigest()}  {file.path}\n" for file in sorted(files))
    members = [
        ("debian-binary", b"2.0\n"),
        (
            "control.tar.gz",
            archive.gz(
                archive.tar(
                    [Entry("control", control.encode()), Entry("md5sums", sums.encode())],
                    release.time,
                    prefix="./",
                    directories=False,
                    root="./",
                ),
                release.level,
            ),
        ),
        ("data.tar.gz", archive.gz(archive.tar(files, release.time, prefix="./", root="./"), release.level)),
    ]
    name = f"pipefold_{release.version}-1_{DEBIAN[build.processor]}.deb"
    archive.write(release.out / name, archive.ar(members, release.time))


SPEC = """\
Name: pipefold
Version: {version}
Release: 1
Summary: {summary}
License: {licence}
URL: {repository}
AutoReqProv: no
%description
{text}
%files
{files}
"""


def rpm(release, build, work):
    """A package of Fedora's kin, by rpmbuild; false where that is missing."""
    if not shutil.which("rpmbuild"):
        return False
    top = Path(work).resolve() / f"rpm-{build.processor}"
    shutil.rmtree(top, ignore_errors=True)
    root = top / "content"
    files = list(below_usr(release, build))
    for file in files:
        path = root / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.data)
        path.chmod(file.mode)
    spec = top / "pipefold.spec"
    listed = "\n".join(f'"/{file.path}"' for file in sorted(files))
    spec.write_text(
        SPEC.format(
            version=release.version,
            summary=SUMMARY,
            licence=release.licence,
            repository=release.repository,
            text=TEXT,
            files=listed + '\n%dir %attr(755, root, root) "/usr/share/doc/pipefold"',
        )
    )
    # The executable is finished: nothing may strip it, compress it or look for its build's parts.
    defines = {
        "_topdir": top,
        "_buildhost": "reproducible",
        "use_source_date_epoch_as_buildtime": 1,
        "clamp_mtime_to_source_date_epoch": 1,
        "__os_install_post": "%{nil}",
        "debug_package": "%{nil}",
        "_build_id_links": "none",
        "_binary_payload": f"w{release.level}.gzdio",
    }
    command = ["rpmbuild", "-bb", "--quiet", "--target", f"{build.processor}-linux", "--buildroot", root, "--noclean"]
    command += [word for name, value in defines.items() for word in ("--define", f"{name} {value}")]
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(release.time), "HOME": str(top), "LC_ALL": "C"}
    subprocess.run([*command, spec], check=True, env=environment)
    [made] = top.glob("RPMS/*/*.rpm")
    archive.write(release.out / f"pipefold-{release.version}-1.{build.processor}.rpm", made.read_bytes())
    return True
