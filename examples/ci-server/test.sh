#!/usr/bin/env bash
# Tests the CI server with libpipefold, and with the `dx-standin` in PATH: test.sh LIBRARY [POLICY [HOSTILE]]
# The policies are components: examples/policies/rust, and the one beside it that misbehaves. Arguments of `go test` may be in GO_TEST_FLAGS.
source "$(dirname "${BASH_SOURCE[0]}")/../tools.sh"

need go
need "${CC:-cc}"
version=$(go env GOVERSION | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
[ "${version:-0}" -ge 19 ] || skip "go is older than 1.19"
# As an installed library has it: one name to link to, and one that programs load.
lib=$installed/ci-server/lib
mkdir -p "$lib"
ln -sf "$(realpath "$1")" "$lib/libpipefold.so.1"
ln -sf libpipefold.so.1 "$lib/libpipefold.so"
export CGO_ENABLED=1 CGO_CFLAGS="-O2 -I$root/host/c/include" CGO_LDFLAGS="-L$lib" LD_LIBRARY_PATH=$lib
policy=${2:+$(realpath "$2")} hostile=${3:+$(realpath "$3")}
export CI_SERVER_POLICY=$policy CI_SERVER_HOSTILE=$hostile

read -ra flags <<<"${GO_TEST_FLAGS:-}"
cd "$root/examples/hosts/library/go/pipefold"
go vet .
go test -count 1 -timeout 300s "${flags[@]}" .
cd "$root/examples/ci-server"
go vet .
go build -o "$installed/ci-server/ci-server" .
go test -count 1 -timeout 300s "${flags[@]}" .
