#!/usr/bin/env bash
# Kills pipefold at every place where a death could do harm, hundreds of times, and checks that nothing that was accepted is lost. Stops by
# itself: after PIPEFOLD_SOAK_ROUNDS (default 1000) or PIPEFOLD_SOAK_SECONDS (default 600). Before that, it kills a collector under load
# PIPEFOLD_SERVE_ROUNDS times, and a reader of GoCD PIPEFOLD_GOCD_ROUNDS times (default 200 each), and a fleet goes
# through PIPEFOLD_FLEET_ROUNDS (default 50). PIPEFOLD_SEED=N repeats what an earlier one
# drew.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The same profile and package set as `make test`, or the engine is compiled again; and a debug build, as only that can be told to die.
packages=(${CI:+--locked} --workspace --exclude pipefold-bench --features pipefold-cli/fleet)
cargo test "${packages[@]}" --no-run

# A killed process does not lose what it wrote, only a dead machine does: so the disk adds nothing here but waiting.
if [ -z "${TMPDIR:-}" ] && [ -d /dev/shm ] && [ -w /dev/shm ]; then
    export TMPDIR=/dev/shm
fi
export PIPEFOLD_SEED=${PIPEFOLD_SEED:-$(date +%s)}
PIPEFOLD_SERVE_ROUNDS=${PIPEFOLD_SERVE_ROUNDS:-200}
export PIPEFOLD_SERVE_ROUNDS
echo "soak: $PIPEFOLD_SERVE_ROUNDS deaths of a collector under load; PIPEFOLD_SEED=$PIPEFOLD_SEED"
cargo test "${packages[@]}" --test serve -- kill::
export PIPEFOLD_FLEET_ROUNDS=${PIPEFOLD_FLEET_ROUNDS:-50}
echo "soak: $PIPEFOLD_FLEET_ROUNDS rounds of a fleet that loses nodes, forwarders, connections and DX"
cargo test "${packages[@]}" --test fleet -- rounds:: --nocapture
PIPEFOLD_GOCD_ROUNDS=${PIPEFOLD_GOCD_ROUNDS:-200}
echo "soak: $PIPEFOLD_GOCD_ROUNDS deaths of a reader of GoCD"
PIPEFOLD_SOAK_ROUNDS=$PIPEFOLD_GOCD_ROUNDS cargo test "${packages[@]}" --test gocd -- kill:: sync::
exec "${CARGO_TARGET_DIR:-target}/debug/soak"
