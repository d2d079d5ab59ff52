"""What every package of a release has: version, texts, and the files of the command."""

import os
import subprocess
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from archive import Entry

ROOT = Path(__file__).resolve().parents[2]
SUMMARY = "Reports CI pipeline runs to DX: one line around a build"

# The target's processor, in the words of each ecosystem.
DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}
NODE = {"x86_64": "x64", "aarch64": "arm64"}
CONTAINER = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass
class Release:
    """The texts and settings that all packages of a release share."""

    out: Path
    level: int = 9
    time: int = 0
    version: str = field(init=False)
    repository: str = field(init=False)
    licence: str = field(init=False)

    def __post_init__(self):
        package = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]
        self.version = package["version"]
        self.repository = package["repository"]
        self.licence = package["license"]

    def documents(self):
        """Licences and the page that a user reads first, below a directory of the package's own."""
        names = ["LICENSE", "LICENSE-APACHE", "LICENSE-MIT", "README.md", "CHANGELOG.md"]
        return [Entry(name, (ROOT / name).read_bytes()) for name in names]


@dataclass
class Build:
    """An executable for one target, with the compiled rules in it, and what it prints about itself."""

    executable: Path
    target: str
    pages: list = field(default_factory=list)
    completions: list = field(default_factory=list)

    @property
    def processor(self):
        return self.target.split("-")[0]

    def entry(self, path):
        """The executable, below a path of the package."""
        return Entry(path, self.executable.read_bytes(), 0o755)

    def describe(self, by, work):
        """Takes manual pages and completions from `by`, an executable of the same version that runs on this machine."""
        pages = Path(work) / "man"
        pages.mkdir(parents=True, exist_ok=True)
        clean = {"PATH": os.environ["PATH"], "HOME": str(work)}
        subprocess.run([by, "man", "--out", pages], check=True, env=clean, stdout=subprocess.DEVNULL)
        self.pages = [Entry(f"share/man/man1/{page.name}", page.read_bytes()) for page in sorted(pages.iterdir())]
        places = {
            "bash": "share/bash-completion/completions/pipefold",
            "zsh": "share/zsh/site-functions/_pipefold",
            "fish": "share/fish/vendor_completions.d/pipefold.fish",
        }
        for shell, place in places.items():
            printed = subprocess.run([by, "completions", shell], check=True, env=clean, capture_output=True)
            self.completions.append(Entry(place, printed.stdout))

    def installed(self, documents):
        """The files below /usr of a system: the executable, manual pages, completions and documents."""
        files = [self.entry("bin/pipefold"), *self.pages, *self.completions]
        return files + [Entry(f"share/doc/pipefold/{text.path}", text.data) for text in documents]
