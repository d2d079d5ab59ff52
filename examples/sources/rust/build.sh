#!/usr/bin/env bash
# Builds the Rust source: build.sh COMPONENT
source "$(dirname "${BASH_SOURCE[0]}")/../../tools.sh"

rust_component "$root/examples/sources/rust" kiln_source "$(realpath "$1")"
