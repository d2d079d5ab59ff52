#!/usr/bin/env bash
# Follows the recipes of this directory without the CI systems: check.sh [RECIPE...]. For each, a collector with the recipe's table on this
# machine takes the deliveries that the recipe's last blocks send. It needs `pipefold` in PATH, curl, jq and openssl.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

for tool in curl jq openssl pipefold; do
    command -v "$tool" >/dev/null || { printf 'skipped: %s is not installed\n' "$tool" >&2 && exit 77; }
done
for name in $(compgen -e PIPEFOLD_) DX_API_URL DX_API_TOKEN; do unset "$name"; done
export no_proxy=127.0.0.1 NO_PROXY=127.0.0.1

samples=$PWD/samples work=$(mktemp -d) server='' failed=0
stop() {
    [ -z "$server" ] || { kill "$server" 2>/dev/null && wait "$server" 2>/dev/null; } || true
    server=
}
trap 'stop; rm -rf "$work"' EXIT

# blocks LANGUAGE INDENT RECIPE: the blocks of a language that begin at this indent, one after the other.
blocks() {
    awk -v begin="$2\`\`\`$1" -v end="$2\`\`\`" -v indent=$((${#2} + 1)) \
        '$0 == begin { inside = 1; next } $0 == end { inside = 0 } inside { print substr($0, indent) }' "$3"
}

# follow RECIPE: prints the answers, one a line.
follow() {
    local recipe=$PWD/$1.md dir=$work/$1
    mkdir -m 700 "$dir" "$dir/data" && cp -r "$samples" "$dir/samples" && cd "$dir"
    blocks toml '   ' "$recipe" >sources.toml
    (umask 077 && openssl rand -hex 32 >hook.secret)
    bash -euo pipefail -c "$(blocks sh '   ' "$recipe")"
    pipefold serve --config sources.toml --data-dir data --listen 127.0.0.1:0 >said 2>&1 &
    server=$!
    for _ in $(seq 300); do
        COLLECTOR=$(grep -om1 'http://127\.0\.0\.1:[0-9]*' said) && break
        kill -0 "$server" 2>/dev/null || break
        sleep 0.1
    done
    [ -n "${COLLECTOR:-}" ] || { cat said && return 1; }
    export COLLECTOR
    # An answer has no line end.
    curl() { command curl --silent --show-error --max-time 30 "$@" && echo; }
    export -f curl
    bash -euo pipefail -c "$(blocks sh '' "$recipe")" >answers || return
    curl "$COLLECTOR/api/runs" >runs || return
    [ "$(jq -s 'length > 0 and all(.ok and .runs == 1)' answers)" = true ] || { cat answers && return 1; }
    jq -e '.runs | length == 1' runs >/dev/null || { cat runs && return 1; }
    jq -r '.runs[0].record | "\(.reference_id): \(.pipeline_name), \(.status)"' runs
}

recipes=("$@")
[ $# -gt 0 ] || recipes=(github gitea forgejo gitlab circleci buildkite azure bitbucket teamcity drone jenkins tekton cdevents)
here=$PWD
for recipe in "${recipes[@]}"; do
    cd "$here"
    status=0
    follow "$recipe" >"$work/$recipe.out" 2>"$work/$recipe.err" || status=$?
    stop
    printf '%-20s %s%s\n' "$recipe" "$([ "$status" = 0 ] || echo 'FAILED: ')" "$(cat "$work/$recipe.out" "$work/$recipe.err")"
    [ "$status" = 0 ] || failed=1
done
exit "$failed"
