#!/usr/bin/env bash
# Measures pipefold and prints the tables of docs/performance.md: whole processes beside `curl`, and the rules in the sandbox beside the same rules
# called natively. After building it takes three minutes. On a machine that does something else meanwhile, the numbers mean little.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

command -v curl >/dev/null || {
    echo "bench: \`curl\` is missing, and it is what pipefold is measured beside. Debian: apt-get install curl" >&2
    exit 1
}
target=$(mkdir -p "${CARGO_TARGET_DIR:-target}" && cd "${CARGO_TARGET_DIR:-target}" && pwd)

# The same packages each time, or cargo takes other features for what they share, and compiles the engine again. Only the benchmarks
# themselves add some, to packages that the engine does not use: so the command is built before them, and is what a release has.
packages=(${CI:+--locked} -p pipefold-cli -p pipefold-plugin --features pipefold-cli/fleet)
cargo build --release "${packages[@]}" --bin pipefold
mkdir -p "$target/release/embedded"
pipefold=$target/release/embedded/pipefold
"$target/release/pipefold" component embed "$target/release/pipefold" "$pipefold"
packages+=(-p pipefold-bench)
cargo build --release "${packages[@]}" --bin pipefold-bench

export CRITERION_HOME=$target/criterion
# Results of an earlier time must not stand in for those of this one.
rm -rf "$CRITERION_HOME"
cargo bench "${packages[@]}" --bench plugin -- --quiet

# The policies of examples/. One that cannot be built here is not measured, and the table says so.
policies=$target/examples/policies
mkdir -p "$policies"
for language in rust python; do
    "examples/policies/$language/build.sh" "$policies/$language.wasm" || {
        echo "bench: the $language policy is not measured" >&2
        rm -f "$policies/$language.wasm"
    }
done
PIPEFOLD_BENCH_POLICY=$policies/rust.wasm cargo bench "${packages[@]}" --bench policies -- --quiet

# What waits in a spool must not cost a build more than its budgets.
if command -v python3 >/dev/null; then
    scripts/backlog.py "$pipefold"
else
    echo "bench: no python3, so the cost of a backlog is not measured" >&2
fi

exec "$target/release/pipefold-bench" --pipefold "$pipefold" --criterion "$CRITERION_HOME" --policies "$policies"
