"""One container without an engine: a process with mounts, a network, a host name and process numbers of its own, as the user it is to be.

Its root has this machine's programs in place of its base image's, and nothing of this machine's /etc, so that what an image lacks is lacking."""

import os
import shlex
import signal
import subprocess
import time

import network

# The base image's programs are this machine's. /usr/local is the image's own.
BASE = ["usr", "bin", "sbin", "lib", "lib64"]
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Image:
    """What a container starts from: `files` by their place in it, each a path on this machine; `directories` with their owner, which a new
    volume at that place takes over."""

    def __init__(self, files, environment=None, entrypoint=(), user=(0, 0), directories=()):
        self.files = files
        self.environment = environment or {}
        self.entrypoint = list(entrypoint)
        self.user = user
        self.directories = list(directories)


class Container:
    def __init__(self, name, image, command, address, hosts, work, *, environment=None, mounts=(), read_only=False, locked=False, user=None):
        """`command` with its entry point; `mounts` are (path here, place in it, read-only); `locked`: no capabilities and no new privileges."""
        self.name, self.address = name, address
        self.log_path = os.path.join(work, f"{name}.log")
        self.process = None
        root = os.path.join(work, "roots", name)
        os.makedirs(root, exist_ok=True)
        self._script = "\n".join(self._setup(root, image, hosts, mounts, read_only))
        user, group = user or image.user
        variables = {"PATH": PATH, "HOSTNAME": name, **image.environment, **(environment or {})}
        drop = ["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"] if locked else []
        self._as_user = [
            *("setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", *drop, "--"),
            *("env", "-i", *(f"{key}={value}" for key, value in variables.items())),
        ]
        self._start = ["chroot", root, *self._as_user, *command]

    @staticmethod
    def _setup(root, image, hosts, mounts, read_only):
        def inside(path):
            return shlex.quote(root + path)

        yield "set -e"
        yield f"mount -t tmpfs -o mode=0755 tmpfs {inside('')}"
        for directory in BASE:
            if os.path.islink(f"/{directory}"):
                yield f"ln -s {shlex.quote(os.readlink(f'/{directory}'))} {inside(f'/{directory}')}"
            elif os.path.isdir(f"/{directory}"):
                yield f"mkdir {inside(f'/{directory}')}; mount --bind -o ro /{directory} {inside(f'/{directory}')}"
        yield f"mount -t tmpfs -o mode=0755 tmpfs {inside('/usr/local')}"
        yield f"mkdir -p {inside('/proc')} {inside('/dev')} {inside('/etc')} {inside('/usr/local/bin')}; mkdir -m 1777 {inside('/tmp')}"
        yield f"mount -t proc proc {inside('/proc')}"
        for device in ["null", "zero", "random", "urandom"]:
            yield f"touch {inside(f'/dev/{device}')}; mount --bind /dev/{device} {inside(f'/dev/{device}')}"
        yield f"printf %s {shlex.quote(hosts)} > {inside('/etc/hosts')}; echo 'hosts: files' > {inside('/etc/nsswitch.conf')}"
        for place, source in image.files.items():
            yield f"mkdir -p {inside(os.path.dirname(place))}; touch {inside(place)}; mount --bind -o ro {shlex.quote(source)} {inside(place)}"
        for place, (user, group) in image.directories:
            yield f"mkdir -p {inside(place)}; chown {user}:{group} {inside(place)}"
        for source, place, is_read_only in mounts:
            yield f"mkdir -p {inside(place if os.path.isdir(source) else os.path.dirname(place))}"
            yield f"test -e {inside(place)} || touch {inside(place)}; mount --bind {shlex.quote(source)} {inside(place)}"
            if is_read_only:
                yield f"mount -o remount,bind,ro {inside(place)}"
        if read_only:
            yield f"mount -o remount,ro {inside('')}; mount -o remount,ro {inside('/usr/local')}"

    def start(self):
        network.attach(self.name, self.address)
        script = f"{self._script}\nhostname {shlex.quote(self.name)}\nexec {shlex.join(self._start)}"
        command = ["nsenter", f"--net=/run/netns/{self.name}", "unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child"]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*command, "sh", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env={"PATH": PATH}
            )

    def wait(self, seconds=60):
        """Waits for its end: its exit code and what it wrote to stdout."""
        out, _ = self.process.communicate(timeout=seconds)
        network.detach(self.name, self.address)
        return self.process.returncode, out.decode()

    def run(self):
        self.start()
        return self.wait()

    def check(self):
        """That it still runs."""
        if self.process.poll() is not None:
            raise SystemExit(f"{self.name} has ended by itself, with {self.process.returncode}: {self.log()}")

    def stop(self, grace):
        """As an engine stops one: SIGTERM, and `grace` seconds. It has to end in time, and well."""
        self.check()
        begun = time.monotonic()
        os.kill(self._first_process(), signal.SIGTERM)
        try:
            code, _ = self.wait(grace)
        except subprocess.TimeoutExpired:
            raise SystemExit(f"{self.name} has not stopped within {grace} s: {self.log()}") from None
        if code != 0 or "panicked" in self.log():
            raise SystemExit(f"{self.name} did not stop well, with {code}: {self.log()}")
        print(f"{self.name} stopped within {time.monotonic() - begun:.1f} s", flush=True)

    def succeeds(self, command):
        """Whether a command does what it should in it, beside what runs there."""
        self.check()
        inside = ["nsenter", f"--target={self._first_process()}", "--mount", "--net", "--pid", "--root", "--wd"]
        return subprocess.run([*inside, *self._as_user, *command], capture_output=True, timeout=20).returncode == 0

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def _first_process(self):
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as children:
            found = children.read().split()
        if not found:
            # It may just have ended, or not be there yet.
            self.check()
            raise SystemExit(f"{self.name} has no process yet")
        return int(found[0])
