#!/usr/bin/env bash
# Compiles and runs the Go host, with the `pipefold` in PATH: run.sh COMPONENT NOTIFICATIONS
# The component is the one within `pipefold`.
source "$(dirname "${BASH_SOURCE[0]}")/../../tools.sh"

need go
version=$(go env GOVERSION | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
[ "${version:-0}" -ge 19 ] || skip "go is older than 1.19"
to=$installed/go-host
(cd "$root/examples/hosts/go" && CGO_ENABLED=0 go build -o "$to/host" .)
"$to/host" "$2"
