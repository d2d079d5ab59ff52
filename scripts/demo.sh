#!/usr/bin/env bash
# Runs a real pipeline around this project's own sources under `pipefold exec`, with `pipefold serve` on this machine in place of DX, and
# shows the run: the one record of it here, and on a terminal its page in a browser, until Enter is pressed. It sends nothing anywhere
# else, and leaves nothing running and nothing behind but what was built.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '\n== %s\n' "$*"; }

# The command, which the test `generated` brings along, and the test that the pipeline runs. Profile and package set are those of `make test`, which
# goes on from here: another set would compile the engine again.
build=(cargo test ${CI:+--locked} --workspace --exclude pipefold-bench --features pipefold-cli/fleet --no-run --test generated --test rules)
say "Building pipefold (minutes the first time, for a WebAssembly engine)"
directory=$(mktemp -d)
server=
clean_up() {
    [ -z "$server" ] || { kill "$server" && wait "$server"; } 2>/dev/null || true
    rm -rf "$directory"
}
trap clean_up EXIT

# In a log, thousands of lines of a build that went well are of no use.
if [ -t 2 ]; then
    "${build[@]}"
else
    "${build[@]}" >"$directory/build.log" 2>&1 || { cat "$directory/build.log" >&2 && exit 1; }
fi
# With its rules compiled ahead, as packages have it.
built=$(cd "${CARGO_TARGET_DIR:-target}/debug" && pwd)/pipefold
mkdir "$directory/bin"
"$built" component embed "$built" "$directory/bin/pipefold" >/dev/null
PATH=$directory/bin:$PATH

# Variables of this shell about another DX, pipeline or run are not the demonstration's.
for name in $(compgen -e PIPEFOLD_) DX_API_URL DX_API_TOKEN; do unset "$name"; done

say "Starting \`pipefold serve\`, which speaks DX's API"
mkfifo "$directory/from-server"
pipefold serve --listen 127.0.0.1:0 --data-dir "$directory/runs" >"$directory/from-server" &
server=$!
read -r DX_API_URL <"$directory/from-server" || { echo "demo: the server did not start; what it said is above" >&2 && exit 1; }
echo "$DX_API_URL"

export DX_API_URL DX_API_TOKEN=any PIPEFOLD_SPOOL=$directory/spool
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
pipefold step --step rules -- cargo test --quiet ${CI:+--locked} --workspace --exclude pipefold-bench --features pipefold-cli/fleet --test rules
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

say "The run, as the server has it"
# A shell can ask without any client; `jq` only makes the answer easier to read.
exec 3<>"/dev/tcp/127.0.0.1/${DX_API_URL##*:}"
printf 'GET /api/runs/%s HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' "$run" >&3
answer=$(sed '1,/^\r*$/d' <&3)
exec 3<&-
case $answer in
*'"status":"success"'*) ;;
*) status=1 ;;
esac
if command -v jq >/dev/null; then jq .run.record <<<"$answer"; else echo "$answer"; fi

page=$DX_API_URL/runs/$run
if [ -t 0 ] && [ -t 1 ] && [ -z "${CI:-}" ]; then
    say "Look at it in a browser: $page"
    read -rt 600 -p "It is there for ten minutes, or until you press Enter. " || true
    echo
else
    say "In a browser it would be at $page; there is no terminal, so the server stops"
fi
kill "$server"
wait "$server"
server=
exit "$status"
