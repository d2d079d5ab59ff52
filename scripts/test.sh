#!/usr/bin/env bash
# Runs all tests, documentation examples included, with one profile and one package set: another would compile the engine again.
# The last line sums up what cargo counted. A test that cannot run here (it needs captured data, say) writes a line
# `skipped: NAME: why` straight to stdout, past the test runner's capture; it passes for cargo and counts as skipped here.
#
#   test.sh [--with-lints]   the lints too, beside the tests: these wait for clocks and sockets for much of their time
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

log=$(mktemp) long=$(mktemp) lints=$(mktemp)
beside=()
clean_up() {
    for group in "${beside[@]}"; do kill -- "-$group" 2>/dev/null || true; done
    rm -f "$log" "$long" "$lints"
}
trap clean_up EXIT

# A shell that runs this in the background has SIGINT ignored, which its children inherit and keep: a test of signals then has none to see.
clean=()
if env --default-signal=INT,QUIT true 2>/dev/null; then clean=(env --default-signal=INT,QUIT,HUP,TERM); fi

# `CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER`, on such a machine. It changes nothing that is built.
host=$(rustc -vV | sed -n 's/^host: //p' | tr '[:lower:]-' '[:upper:]_')
export "CARGO_TARGET_${host}_RUNNER=$PWD/scripts/run-test.sh"

# One failing executable must not hide the others. In CI, a lock file that was forgotten in a commit must not be mended silently.
tests=("${clean[@]}" cargo test ${CI:+--locked} --workspace --exclude pipefold-bench --features pipefold-cli/fleet --no-fail-fast)

# start_beside LOG OUTPUT COMMAND: starts it in a process group of its own as soon as the tests that write to LOG run. cargo holds its lock until then.
start_beside() {
    local started=$1 output=$2
    shift 2
    set -m
    (until grep -q '^running ' "$started"; do sleep 0.5; done && exec "$@") </dev/null >"$output" 2>&1 &
    set +m
    beside+=($!)
}

# The tests wait for clocks and sockets for two thirds of their time, so they run in two lanes. The second has no documentation examples.
start_beside "$log" "$long" env PIPEFOLD_LANE=long "${tests[@]}" --tests
[ "${1:-}" != --with-lints ] || start_beside "$long" "$lints" nice -n 19 scripts/lint.sh lints

status=0
PIPEFOLD_LANE=short "${tests[@]}" | tee "$log" || status=$?

linted=0
# Without a line from the tests, the build failed, and what waits for it never began.
if grep -q '^running ' "$log"; then
    wait "${beside[0]}" || status=$?
    # The lints wait for such a line, also behind a lane that ended without one.
    echo "running of the long lane ended" >>"$long"
    cat "$long"
    if [ -n "${beside[1]:-}" ]; then
        wait "${beside[1]}" || linted=$?
        cat "$lints"
        [ "$linted" = 0 ] || printf '\nlints: failed, see above\n'
    fi
    beside=()
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
' "$log" "$long" || status=1
[ "$linted" = 0 ] || status=1
exit "$status"
