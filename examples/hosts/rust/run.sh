#!/usr/bin/env bash
# Runs the Rust host, which cargo builds with the tests: run.sh COMPONENT NOTIFICATIONS
source "$(dirname "${BASH_SOURCE[0]}")/../../tools.sh"

spool=$(mktemp -d)
trap 'rm -rf "$spool"' EXIT
"${CARGO_TARGET_DIR:-$root/target}/debug/examples/host" "$1" "$2" "$spool"
