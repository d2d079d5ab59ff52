#!/usr/bin/env bash
# Runs the Python host: run.sh LIBRARY NOTIFICATIONS SPOOL
source "$(dirname "${BASH_SOURCE[0]}")/../../../tools.sh"

need python3
LIBPIPEFOLD=$1 python3 "$root/examples/hosts/library/python/host.py" "$2" "$3"
