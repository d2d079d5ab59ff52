#!/usr/bin/env bash
# Compiles a Go program with libpipefold, and runs it: run.sh LIBRARY NOTIFICATIONS SPOOL for the host, run.sh --stress LIBRARY ARGUMENT... for the
# stress test.
source "$(dirname "${BASH_SOURCE[0]}")/../../../tools.sh"

program=host
[ "$1" != --stress ] || { program=stress && shift; }
need go
need "${CC:-cc}"
version=$(go env GOVERSION | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
[ "${version:-0}" -ge 19 ] || skip "go is older than 1.19"
to=$installed/library-go
# As an installed library has it: one name to link to, and one that programs load.
mkdir -p "$to/lib"
ln -sf "$(realpath "$1")" "$to/lib/libpipefold.so"
ln -sf libpipefold.so "$to/lib/libpipefold.so.1"
(
    cd "$root/examples/hosts/library/go/$program"
    CGO_ENABLED=1 CGO_CFLAGS="-O2 -I$root/host/c/include" CGO_LDFLAGS="-L$to/lib -Wl,-rpath,$to/lib" go build -o "$to/$program" .
)
"$to/$program" "${@:2}"
