#!/usr/bin/env bash
# Sends a day of an organisation's pipeline runs through a fleet on this machine (three NATS nodes, two forwarders) to a DX that takes a
# thousand requests a minute, and says how late notifications reached DX, in how many requests, and whether every record is right. By variables:
#   RUNS (20000)  RUNS_A_DAY (1000000)  SPEED (30)  LIMIT (1000)  WINDOW (2)  FORWARDERS (2)  ASK (1.2)  NODES (3)  SEED (1)
# The whole day of a million runs takes forty minutes on two cores: RUNS=1000000 SPEED=40 make simulate
# It sends nothing anywhere else, and leaves nothing running. Where no nats-server is to be had, it says so and ends with 77.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The profile and package set of `make test`: another would compile the engine again.
cargo test ${CI:+--locked} --workspace --exclude pipefold-bench --features pipefold-cli/fleet --no-run --quiet
# Nodes write a good deal: in memory where that is large, else to this machine's disk.
free=$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1 || echo 0)
if [ -z "${TMPDIR:-}" ] && [ "${free:-0}" -gt 8000000 ]; then export TMPDIR=/dev/shm; fi

arguments=()
for name in RUNS RUNS_A_DAY SPEED LIMIT WINDOW FORWARDERS ASK NODES SEED; do
    [ -z "${!name:-}" ] || arguments+=("--$(tr '[:upper:]_' '[:lower:]-' <<<"$name")" "${!name}")
done
exec "${CARGO_TARGET_DIR:-target}/debug/fleet-simulation" "${arguments[@]}"
