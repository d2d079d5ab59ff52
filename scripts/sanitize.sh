#!/usr/bin/env bash
# Calls the C library by 16 threads, with a policy that traps and loops, forks and reporters that come and go among it: for long, and then under
# the sanitizers of addresses and of threads (the C side) and under valgrind. host/c/tests/stress.rs is the short form, which `make test` runs.
#
#   ROUNDS       for each thread without a tool: four calls that record nothing, and in each eighth three that do [1440: 100,000 calls]
#   TOOL_ROUNDS  the same under each tool [128]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

run() { # NAME ROUNDS CFLAGS COMMAND
    printf '\n== %s\n' "$1"
    LIBRARY_STRESS_ROUNDS=$2 LIBRARY_STRESS_CFLAGS=$3 LIBRARY_STRESS_UNDER=$4 \
        cargo test ${CI:+--locked} --workspace --exclude pipefold-bench --features pipefold-cli/fleet --quiet --test library -- --nocapture stress:: |
        grep -vE '^$|^running'
}

run "without a tool" "${ROUNDS:-1440}" "" ""
run "address sanitizer" "${TOOL_ROUNDS:-128}" "-g -fsanitize=address -fno-omit-frame-pointer" ""
# Of the program alone: it does not know the locks of Rust's library. It maps memory at fixed places, and newer kernels spread addresses further
# than it expects.
run "thread sanitizer" "${TOOL_ROUNDS:-128}" "-g -fsanitize=thread" \
    "setarch --addr-no-randomize env TSAN_OPTIONS=ignore_noninstrumented_modules=1"
if command -v valgrind >/dev/null; then
    # Slow, so that a policy needs more time. A forked child has the memory of threads that it does not have.
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    options=(--quiet --error-exitcode=99 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite --fair-sched=yes --child-silent-after-fork=yes)
    LIBRARY_STRESS_HOOK=2s run "valgrind, memcheck" "$((${TOOL_ROUNDS:-128} / 4))" "-g" "valgrind ${options[*]} --log-file=$log"
    # Calls of the system that it does not know are no fault of ours.
    grep -E '^==[0-9]+==' "$log" || echo "no invalid access, no use of what was not set, no memory lost"
else
    echo "valgrind: not here"
fi
