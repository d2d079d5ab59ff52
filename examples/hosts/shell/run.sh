#!/usr/bin/env bash
# Runs the shell host, with the `pipefold` in PATH: run.sh COMPONENT NOTIFICATIONS
# The component is the one within `pipefold`.
source "$(dirname "${BASH_SOURCE[0]}")/../../tools.sh"

need jq
need curl
sh "$root/examples/hosts/shell/host.sh" "$2"
