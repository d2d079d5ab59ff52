"""The npm packages: one a platform with the executable, and `pipefold`, which picks one of them."""

import json

import archive
from archive import Entry
from release import NODE, ROOT, SUMMARY

HERE = ROOT / "scripts/dist/npm"


def package(release, name, manifest, files):
    """A tar archive as `npm pack` makes it."""
    whole = {
        "name": name,
        "version": release.version,
        "description": SUMMARY,
        "license": release.licence,
        "repository": {"type": "git", "url": f"git+{release.repository}.git"},
        **manifest,
    }
    licences = [entry for entry in release.documents() if entry.path.startswith("LICENSE")]
    described = Entry("package.json", (json.dumps(whole, indent=2) + "\n").encode())
    data = archive.tar([described, *files, *licences], release.time, prefix="package/", directories=False)
    file = name.removeprefix("@").replace("/", "-")
    archive.write(release.out / f"{file}-{release.version}.tgz", archive.gz(data, release.level))


def platform(release, build):
    """`@pipefold/linux-x64` and its kin. Without `libc`, as a static executable runs on glibc and musl."""
    processor = NODE[build.processor]
    manifest = {"os": ["linux"], "cpu": [processor], "preferUnplugged": True}
    package(release, f"@pipefold/linux-{processor}", manifest, [build.entry("bin/pipefold")])


def picker(release, builds):
    """The package that users name. Its `bin/pipefold` starts the executable; `install.js` puts the executable itself in its place."""
    manifest = {
        "bin": {"pipefold": "bin/pipefold"},
        "scripts": {"postinstall": "node install.js"},
        "engines": {"node": ">=14"},
        # Of this release alone: `npm ci` refuses a lock file that lacks an optional package, and npm leaves out one that it cannot find.
        "optionalDependencies": {f"@pipefold/linux-{NODE[build.processor]}": release.version for build in builds},
    }
    files = [
        Entry("bin/pipefold", (HERE / "shim.js").read_bytes(), 0o755),
        Entry("install.js", (HERE / "install.js").read_bytes()),
        Entry("README.md", (ROOT / "README.md").read_bytes()),
    ]
    package(release, "pipefold", manifest, files)
