#!/usr/bin/env bash
# run.sh PROGRAM PIPEFOLD: runs a program of this folder in namespaces of its own, as root of them, so that all it starts ends with
# it. Where that cannot be, it says why and ends with 77.
# shellcheck source=../../../../examples/tools.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../../../examples/tools.sh"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# Where a path is for users, what administrators use is beside it.
PATH=$PATH:/usr/sbin:/sbin
for program in unshare nsenter setpriv chroot ip wget openssl; do need "$program"; done
unshare --mount --net --pid --fork --kill-child --mount-proc ip link add pf-br type bridge 2>/dev/null ||
    skip "this user may not make namespaces with a network of their own"
python_packages containers "$here/requirements.txt"
nats_server=$("$root/tests/fleet/nats-server.sh") || exit
export PYTHONDONTWRITEBYTECODE=1
exec unshare --mount --net --pid --fork --kill-child --mount-proc "$installed/containers/bin/python" "$here/$1" "$nats_server" "${@:2}"
