#!/usr/bin/env bash
# Runs a real pipeline around this project's own sources under `pipefold exec`, with a server on this machine in place of DX, and shows the
# one record that DX would hold. It sends nothing anywhere else, and leaves nothing running and nothing behind but what was built.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '\n== %s\n' "$*"; }

# The profile and package set of `make test`, which then has nothing left to build: another set would compile the engine again.
build=(cargo test ${CI:+--locked} --workspace --exclude pipefold-bench --no-run)
say "Building pipefold (some minutes the first time: a WebAssembly engine is compiled too)"
directory=$(mktemp -d)
server=
clean_up() {
    # Its stdin has ended, which ends it; this is for the case that it hangs.
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$directory"
}
trap clean_up EXIT

# In a log, thousands of lines of a build that went well help nobody.
if [ -t 2 ]; then
    "${build[@]}"
else
    "${build[@]}" >"$directory/build.log" 2>&1 || { cat "$directory/build.log" >&2 && exit 1; }
fi
PATH=$(cd "${CARGO_TARGET_DIR:-target}/debug" && pwd):$PATH

# What this shell was told about some other DX, pipeline or run is not the demonstration's.
for name in $(compgen -e PIPEFOLD_) DX_API_URL DX_API_TOKEN; do unset "$name"; done

say "Starting a server that stands in for DX"
mkfifo "$directory/to-server" "$directory/from-server"
dx-standin --token demo-token --seconds 300 <"$directory/to-server" >"$directory/from-server" &
server=$!
exec 3>"$directory/to-server" 4<"$directory/from-server"
read -r DX_API_URL <&4
echo "$DX_API_URL"

export DX_API_URL DX_API_TOKEN=demo-token PIPEFOLD_SPOOL=$directory/spool
run=demo-$(date +%Y%m%d-%H%M%S)-$$
branch=$(git symbolic-ref --quiet --short HEAD 2>/dev/null || true)

# The pipeline: a script as a CI system would run it. `pipefold step` in front of a command makes it a step of the run around it.
# Where there is no formatter, the lock file is looked at instead.
step="--step format -- cargo fmt --all -- --check --files-with-diff"
cargo fmt --version >/dev/null 2>&1 || step="--step lock-file -- cargo metadata --quiet --locked --no-deps --format-version 1 >$directory/metadata"
cat >"$directory/pipeline.sh" <<PIPELINE
PS4='$ '
set -eux
pipefold step $step
pipefold step --step rules -- cargo test --quiet ${CI:+--locked} --workspace --exclude pipefold-bench --test rules
pipefold step --step component -- pipefold component inspect host/sandbox/component/default.wasm
pipefold step --step lines --allow-failure -- sh -c 'find host plugin -name "*.rs" | xargs cat | wc -l'
: within the run: its steps wait on disk, and go to DX with its end
pipefold status
PIPELINE
say "Running four commands under one \`pipefold exec\`"
status=0
pipefold exec --pipeline-name pipefold --pipeline-source "make demo" --reference-id "$run" \
    ${branch:+--head-branch "$branch"} -- sh "$directory/pipeline.sh" || status=$?

say "After the run: \`pipefold status\`"
pipefold status

say "The one record that DX holds"
exec 3>&-
cat <&4
wait "$server"
server=
exit "$status"
