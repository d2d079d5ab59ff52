#!/usr/bin/env bash
# Calls libpipefold from 16 threads of a JVM and of a Go program, CALLS times (100000) each, behind a policy that traps, overflows its stack,
# does not end, or takes memory without end. Meanwhile the JVM and Go's runtime use their signals and collect garbage. Each program checks the
# result of each call, that no signal was lost, and that memory stays flat, and prints the numbers. Takes some minutes; LIBRARY is another
# libpipefold.so than that of this build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

calls=${CALLS:-100000}
target=$(mkdir -p "${CARGO_TARGET_DIR:-target}" && cd "${CARGO_TARGET_DIR:-target}" && pwd)
library=${LIBRARY:-$target/debug/libpipefold_c.so}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ -z "${LIBRARY:-}" ]; then
    # The profile and package set of `make test`: another would compile the engine again.
    cargo build ${CI:+--locked} --workspace --exclude pipefold-bench --features pipefold-cli/fleet --lib --bins --quiet
fi
mkdir -p "$target/examples/policies"
examples/policies/rust/hostile/build.sh "$target/examples/policies/hostile.wasm"

passed=0 failed=0 skipped=0
for language in java go; do
    printf '\n== %s\n' "$language"
    status=0
    "examples/hosts/library/$language/run.sh" --stress "$library" "$target/examples/policies/hostile.wasm" "$work/$language" "$calls" \
        >"$work/said" 2>&1 || status=$?
    # Without the stacks of the JVM's threads.
    grep -E '^([0-9/: ]*FAILED|java [0-9]|go[0-9]|[0-9]+ calls|SIG|signals|null|resident|skipped|Exception in|Caused by)' "$work/said" || tail -n 20 "$work/said"
    if [ "$language" = java ] && [ "$status" = 0 ]; then
        sent=$(sed -n 's/.*SIGQUIT: \([0-9]*\) sent/\1/p' "$work/said")
        dumps=$(grep -c '^Full thread dump' "$work/said" || true)
        # The profiler stops threads by SIGUSR2, in the library too.
        samples=$(jfr summary "$work/java.jfr" | awk '/jdk.(Execution|NativeMethod)Sample / { sum += $2 } END { print sum + 0 }')
        printf 'SIGQUIT: %s printed the stacks; SIGUSR2: %s samples of the profiler\n' "$dumps" "$samples"
        [ "$dumps" = "$sent" ] && [ "$samples" -gt 0 ] || status=1
    fi
    case $status in
    0) passed=$((passed + 1)) ;;
    77) skipped=$((skipped + 1)) ;;
    *) failed=$((failed + 1)) && printf 'FAILED with exit code %s\n' "$status" ;;
    esac
done
printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" = 0 ]
