#!/usr/bin/env bash
# Runs the JavaScript host: run.sh MODULE NOTIFICATIONS
source "$(dirname "${BASH_SOURCE[0]}")/../../../tools.sh"

need node
node "$root/examples/hosts/core/javascript/host.mjs" "$1" "$2"
