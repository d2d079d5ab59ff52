#!/usr/bin/env bash
# Runs all tests, documentation examples included, with one profile and one package set: another would compile the engine again.
# The last line sums up what cargo counted. A test that cannot run here (it needs captured data, say) writes a line
# `skipped: NAME: why` straight to stdout, past the test runner's capture; it passes for cargo and counts as skipped here.
#
#   test.sh [--with-lints]   the lints too, beside the tests: these wait for clocks and sockets for much of their time
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

log=$(mktemp) lints=$(mktemp)
trap 'rm -f "$log" "$lints"; [ -z "${linting:-}" ] || kill -- "-$linting" 2>/dev/null || true' EXIT

# A shell that runs this in the background has SIGINT ignored, which its children inherit and keep: a test of signals then has none to see.
clean=()
if env --default-signal=INT,QUIT true 2>/dev/null; then clean=(env --default-signal=INT,QUIT,HUP,TERM); fi

# `CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER`, on such a machine. It changes nothing that is built.
host=$(rustc -vV | sed -n 's/^host: //p' | tr '[:lower:]-' '[:upper:]_')
export "CARGO_TARGET_${host}_RUNNER=$PWD/scripts/run-test.sh"

# cargo holds its lock until everything is built, and the first test writes the first line.
linting=
if [ "${1:-}" = --with-lints ]; then
    set -m
    (until [ -s "$log" ]; do sleep 0.5; done && exec nice -n 19 scripts/lint.sh lints) >"$lints" 2>&1 &
    linting=$!
    set +m
fi

# One failing binary must not hide the others. In CI, a lock file that was forgotten in a commit must not be mended silently.
status=0
"${clean[@]}" cargo test ${CI:+--locked} --workspace --exclude pipefold-bench --features pipefold-cli/fleet --no-fail-fast | tee "$log" || status=$?

linted=0
# Without a line from the tests, the build failed, and the lints with it.
if [ -n "$linting" ] && [ -s "$log" ]; then
    wait "$linting" || linted=$?
    linting=
    cat "$lints"
    [ "$linted" = 0 ] || printf '\nlints: failed, see above\n'
fi

awk -v status="$status" '
    /^test result:/ {
        for (i = 2; i <= NF; i++) {
            if ($i ~ /^passed/) passed += $(i - 1)
            if ($i ~ /^failed/) failed += $(i - 1)
            if ($i ~ /^ignored/) skipped += $(i - 1)
        }
    }
    /(^|\.\.\. )skipped: / { passed--; skipped++ }
    END {
        # A test program that crashed or did not compile counts nothing at all.
        if (status != 0 && failed == 0) printf "\ncargo test failed before it could count everything: see above\n"
        printf "\ntotal: %d passed, %d failed, %d skipped\n", passed, failed, skipped
        if (failed > 0 || passed < 1) exit 1
    }
' "$log" || status=1
[ "$linted" = 0 ] || status=1
exit "$status"
