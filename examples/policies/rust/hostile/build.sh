#!/usr/bin/env bash
# Builds the policy that misbehaves on demand: build.sh COMPONENT
source "$(dirname "${BASH_SOURCE[0]}")/../../../tools.sh"

rust_component "$root/examples/policies/rust" hostile "$(realpath "$1")"
