#!/usr/bin/env bash
# Kills pipefold at every place where a death could do harm, hundreds of times, and checks that nothing that was accepted is lost. Stops by
# itself: after PIPEFOLD_SOAK_ROUNDS (default 1000) or PIPEFOLD_SOAK_SECONDS (default 600). PIPEFOLD_SEED=N repeats what an earlier one drew.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The same profile and package set as `make test`, or the engine is compiled again; and a debug build, as only that can be told to die.
cargo test ${CI:+--locked} --workspace --exclude pipefold-bench --no-run

# A killed process does not lose what it wrote, only a dead machine does: so the disk adds nothing here but waiting.
if [ -z "${TMPDIR:-}" ] && [ -d /dev/shm ] && [ -w /dev/shm ]; then
    export TMPDIR=/dev/shm
fi
exec "${CARGO_TARGET_DIR:-target}/debug/soak"
