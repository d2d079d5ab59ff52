#!/usr/bin/env python3
"""Makes the packages of a release from finished executables, and SHA256SUMS over all that is in the output directory.

    scripts/dist/pack.py --out DIR --build TARGET=FILE [--build …] [--runner TARGET=FILE …] [--library PROCESSOR=DIR …] [--only KIND,…]

Each FILE has the compiled rules in it (`pipefold component embed`). The same files, version and SOURCE_DATE_EPOCH give the same bytes.
Only Python's standard library is used; rpm also needs rpmbuild."""

import argparse
import os
import platform
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parent))

import archive  # noqa: E402
import image  # noqa: E402
import library  # noqa: E402
import npm  # noqa: E402
import system  # noqa: E402
import wheel  # noqa: E402
from release import ROOT, Build, Release  # noqa: E402

KINDS = ["tar", "deb", "rpm", "wheel", "npm", "oci", "wasm", "lib"]


def built(text):
    target, _, file = text.partition("=")
    if not Path(file).is_file():
        raise argparse.ArgumentTypeError(f"{text}: give TARGET=FILE, the file being an executable")
    return Build(Path(file), target)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="directory of the packages; made if missing")
    parser.add_argument("--build", type=built, action="append", default=[], help="TARGET=FILE, an executable with everything")
    parser.add_argument("--runner", type=built, action="append", default=[], help="TARGET=FILE, one for runners")
    parser.add_argument("--library", action="append", default=[], help="PROCESSOR=DIR, with libpipefold.so and libpipefold.a")
    parser.add_argument("--only", default=",".join(KINDS), help=f"some of {', '.join(KINDS)}")
    parser.add_argument("--certificates", type=Path, help="the image's certificate authorities, a PEM file")
    parser.add_argument("--describe", type=Path, help="prints manual pages and completions [the build for this machine]")
    parser.add_argument("--core", type=Path, help="the rules as a core module")
    parser.add_argument("--level", type=int, default=9, help="of compression, 1 to 9")
    parser.add_argument("--whole", action="store_true", help="fail if a package cannot be made")
    options = parser.parse_args()
    kinds = options.only.split(",")
    if unknown := set(kinds) - set(KINDS):
        parser.error(f"unknown kinds: {', '.join(sorted(unknown))}")
    options.out.mkdir(parents=True, exist_ok=True)
    release = Release(options.out, options.level, int(os.environ.get("SOURCE_DATE_EPOCH", "0")))

    builds = options.build + options.runner
    here = [build.executable for build in options.build if build.processor == platform.machine()]
    describing = options.describe or next(iter(here), None)
    missing = []
    with tempfile.TemporaryDirectory() as work:
        if describing and builds:
            builds[0].describe(describing.resolve(), work)
        for build in builds:
            build.pages, build.completions = builds[0].pages, builds[0].completions
        for build in options.build:
            for kind, make in {"tar": system.tarball, "deb": system.deb, "wheel": wheel.wheel, "npm": npm.platform}.items():
                if kind in kinds:
                    make(release, build)
            if "rpm" in kinds and not system.rpm(release, build, work):
                missing.append("rpm: no rpmbuild here (Debian: apt-get install rpm)")
        for build in options.runner:
            if "tar" in kinds:
                system.tarball(release, build, "-runner")
    if "lib" in kinds:
        for processor, _, directory in (text.partition("=") for text in options.library):
            library.library(release, processor, Path(directory))
    if "npm" in kinds:
        npm.picker(release, options.build)
    if "oci" in kinds and options.build:
        if options.certificates:
            image.image(release, options.build, options.certificates)
        else:
            missing.append("oci: no certificates were given")
    if "wasm" in kinds:
        component = ROOT / "host/sandbox/component/default.wasm"
        archive.write(options.out / f"pipefold-{release.version}.component.wasm", component.read_bytes())
        if options.core:
            archive.write(options.out / f"pipefold-{release.version}-core.wasm", options.core.read_bytes())
    files = sorted(file for file in options.out.iterdir() if not file.name.startswith("SHA256SUMS"))
    sums = "".join(f"{sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files)
    archive.write(options.out / "SHA256SUMS", sums.encode())
    for line in dict.fromkeys(missing):
        print(f"dist: not made: {line}", file=sys.stderr)
    if options.whole and missing:
        sys.exit(1)


main()
