#!/usr/bin/env bash
# Fuzzes what reads foreign bytes: each target of fuzz/ for FUZZ_SECONDS (default 60), or only those named as arguments. What is found is
# kept in fuzz/artifacts/, what reached new code in fuzz/corpus/, from where the next time goes on.
#
# It runs cargo-fuzz, which it installs into target/tools/ if there is none, on the toolchain at hand: coverage by itself needs no nightly
# one. No sanitizer, which would: the code is safe Rust, and a panic, a crash or a call that does not end shows without.
# The first time all dependencies are built with coverage, the engine among them: a quarter of an hour on one processor.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The version that the options below were tried with.
version=0.13.2
seconds=${FUZZ_SECONDS:-60}

die() {
    printf 'fuzz: %s\n' "$@" >&2
    exit 1
}

[[ $seconds =~ ^[1-9][0-9]*$ ]] || die "FUZZ_SECONDS is \`$seconds\`; give the seconds for each target as a whole number, such as 60"
targets=("$@")
if [ $# = 0 ]; then targets=(merge config answer spool component); fi
for target in "${targets[@]}"; do
    [ -f "fuzz/fuzz_targets/$target.rs" ] || die "there is no target \`$target\`; see fuzz/fuzz_targets/"
done

# The fuzzer's own half is C++.
command -v "${CXX:-c++}" >/dev/null || die "the C++ compiler \`${CXX:-c++}\` is missing, and the fuzzer is partly C++." \
    "Debian: apt-get install g++. Fedora: dnf install gcc-c++. macOS: xcode-select --install. Another compiler: set CXX."

tools=$(mkdir -p target/tools && cd target/tools && pwd)
export PATH="$tools/bin:$PATH"
if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "fuzz: installing cargo-fuzz $version into target/tools"
    cargo install cargo-fuzz --version "$version" --locked --quiet --root "$tools" --target-dir "$tools/build" || die \
        "cargo-fuzz could not be installed: see above. Without a network, take \`cargo-fuzz\` from a machine that has it, and put it into" \
        "a directory of PATH, or into target/tools/bin."
fi

# The versions that the project is tested with; cargo adds what only the targets need.
[ fuzz/Cargo.lock -nt Cargo.lock ] || cp Cargo.lock fuzz/Cargo.lock

# The spool syncs every file, and configurations are read from files: in memory that costs next to nothing.
memory=${TMPDIR:-/tmp}
if [ -d /dev/shm ] && [ -w /dev/shm ]; then memory=/dev/shm; fi
scratch=$(mktemp -d "$memory/pipefold-fuzz.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

host=$(rustc -vV | sed -n 's/^host: //p')
options=(--dev --sanitizer none --fuzz-dir fuzz --target-dir fuzz/target --target "$host")
cargo fuzz build "${options[@]}" || die "the targets could not be built: see above"

failed=()
for target in "${targets[@]}"; do
    corpus=fuzz/corpus/$target seeds=fuzz/seeds/$target artifacts=fuzz/artifacts/$target log=$scratch/$target.log
    # The target itself writes its seeds, when it starts.
    mkdir -p "$corpus" "$seeds" "$artifacts" "$scratch/$target"
    # 30 s: the longest call takes a fraction of a second, and the machine may be busy. 4 GB: compiling takes as much as it takes.
    if TMPDIR="$scratch/$target" "fuzz/target/$host/debug/$target" "$corpus" "$seeds" -artifact_prefix="$artifacts/" \
        -max_total_time="$seconds" -timeout=30 -rss_limit_mb=4096 -print_final_stats=1 >"$log" 2>&1; then
        awk -v target="$target" '
            /^stat::number_of_executed_units:/ { executed = $2 }
            /^stat::average_exec_per_sec:/ { rate = $2 }
            / cov: / { for (i = 1; i < NF; i++) { if ($i == "cov:") edges = $(i + 1); if ($i == "corp:") corpus = $(i + 1) } }
            END {
                printf "fuzz: %-9s %9d executions, %d a second, %d edges reached, corpus %s: nothing found\n",
                    target, executed, rate, edges, corpus
            }
        ' "$log"
    else
        failed+=("$target")
        tail -n 60 "$log"
        echo "fuzz: $target: found something, see above; to see it again: fuzz/target/$host/debug/$target FILE, with a file of $artifacts/"
    fi
done
[ ${#failed[@]} = 0 ] || die "found something in: ${failed[*]}"
