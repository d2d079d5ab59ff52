#!/usr/bin/env bash
# Builds the Rust policy: build.sh COMPONENT
source "$(dirname "${BASH_SOURCE[0]}")/../../tools.sh"

rust_component "$root/examples/policies/rust" redact_emails "$(realpath "$1")"
