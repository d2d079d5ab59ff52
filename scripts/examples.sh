#!/usr/bin/env bash
# Runs the hosts of examples/hosts against a server that stands in for DX, and compares what the hooks said and what DX would hold with what
# the command makes of the same notifications, byte for byte; those of the core module send nothing. Builds the policies of
# examples/policies, puts each before a run and one before the hosts' component, beside one that misbehaves, and takes one through a registry. Checks the recipes of examples/ci by their systems' schemas.
#
# An example whose language or packages cannot be had here is skipped, and says why. The last line counts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '\n== %s\n' "$*"; }

work=$(mktemp -d)
server=
clean_up() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap clean_up EXIT

say "Building pipefold and the Rust host"
# The profile and package set of `make test`, and with examples also its features: another would compile the engine again.
cargo build ${CI:+--locked} --workspace --exclude pipefold-bench --features pipefold-cli/fleet --lib --bins --examples --quiet
target=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)
# With its rules compiled ahead, as packages have it.
mkdir "$work/bin"
"$target/debug/pipefold" component embed "$target/debug/pipefold" "$work/bin/pipefold" >/dev/null
# The C library under its own name, as packages have it too.
library=$target/debug/libpipefold.so
"$target/debug/pipefold" component embed "$target/debug/libpipefold_c.so" "$library" >/dev/null
ln -sf libpipefold.so "$library.1"
PATH=$work/bin:$target/debug:$PATH
component=$PWD/host/sandbox/component/default.wasm
module=$PWD/plugin/core/pipefold-core.wasm
notifications=$PWD/examples/hosts/notifications.jsonl

# Variables of this shell about a DX or a run are not the examples'; and no proxy stands before this machine itself.
for name in $(compgen -e PIPEFOLD_) DX_API_URL DX_API_TOKEN; do unset "$name"; done
export no_proxy=127.0.0.1${no_proxy:+,$no_proxy} NO_PROXY=127.0.0.1${NO_PROXY:+,$NO_PROXY}
# The command also asks the variables of CI systems.
clean=(env -i "PATH=$PATH" "HOME=$HOME" "XDG_CACHE_HOME=$work/cache" "PIPEFOLD_SPOOL=$work/spool")

passed=0 failed=0 skipped=0
pass() { printf '%-20s %s\n' "$1" "$2" && passed=$((passed + 1)); }
fail() { printf '%-20s FAILED: %s\n' "$1" "$2" && failed=$((failed + 1)); }
same() { # NAME WHAT EXPECTED ACTUAL
    cmp -s "$3" "$4" && return
    fail "$1" "$2 differ (expected, then actual):"
    cat "$3" "$4"
    return 1
}

# with_dx RECORDS COMMAND...: runs a command against a server of its own, and writes the records that DX would hold.
with_dx() {
    local records=$1 url status=0
    shift
    rm -f "$work/to-server" "$work/from-server"
    mkfifo "$work/to-server" "$work/from-server"
    dx-standin --token example-token --seconds 300 <"$work/to-server" >"$work/from-server" &
    server=$!
    exec 3>"$work/to-server" 4<"$work/from-server"
    read -r url <&4
    DX_API_URL=$url DX_API_TOKEN=example-token "$@" 3>&- 4<&- || status=$?
    exec 3>&-
    # How many requests it took is the host's own affair.
    grep -v '"upserts"' <&4 >"$records"
    exec 4<&-
    wait "$server" || true
    server=
    rm -rf "$work/spool"
    return "$status"
}

say "The command"
history() { printf '[%s]' "$(paste -sd , "$notifications")"; }
{
    sed -n 1p "$notifications" | pipefold hook start
    sed -n 2p "$notifications" | pipefold hook step
    history | pipefold hook finish
    history | pipefold hook merge
} >"$work/expected"
cat "$work/expected"

# The same notifications as flags. A preview is the exact request: {"body":{…},"headers":…}, and the body is the run.
as_flags() (
    cd "$work/empty"
    command=("${clean[@]}" "DX_API_URL=$DX_API_URL" "DX_API_TOKEN=$DX_API_TOKEN" pipefold --strict)
    run=(--pipeline-name integration_tests --pipeline-source Tekton --reference-id AA713E04)
    start=(start "${run[@]}" --started-at 2025-01-01T12:05:00 --repository getdx/some_repo --commit-sha 2c1c3d7 --pr-number 4711
        --head-branch größer --email mona@example.com --github-username mona --attribute team=payments)
    step=(step "${run[@]}" --started-at 2025-01-01T13:06:00+01:00 --finished-at 2025-01-01T12:08:00.250Z --status failure
        --step lint --allow-failure)
    finish=(finish "${run[@]}" --started-at 2025-01-01T12:05:00 --finished-at 2025-01-01T12:10:00 --status success
        --source-url https://tekton.example.com/runs/AA713E04)
    "${command[@]}" --dry-run --json "${start[@]}" &&
        "${command[@]}" "${start[@]}" &&
        "${command[@]}" "${step[@]}" &&
        "${command[@]}" --dry-run --json "${finish[@]}" &&
        "${command[@]}" "${finish[@]}"
)
mkdir "$work/empty"
status=0
with_dx "$work/expected-record" as_flags >"$work/previews" 2>"$work/stderr" || status=$?
if [ "$status" = 0 ]; then
    sed 's/,"headers":{"Accept.*//; s/^{"body":\(.*\)/{"run":\1,"verdict":"report"}/' "$work/previews" >"$work/flags"
    # A request about a run has neither jobs nor attributes.
    sed -n '1p;3p' "$work/expected" | sed 's/^{"jobs":.*,"run":{/{"run":{/; s/"attributes":{[^}]*},//' >"$work/expected-flags"
    same flags "the records of the hooks and of the flags" "$work/expected-flags" "$work/flags" && pass flags "the same records"
else
    fail flags "$(cat "$work/stderr")"
fi

say "Hosts"
for host in rust python javascript shell java go; do
    status=0
    with_dx "$work/record" "examples/hosts/$host/run.sh" "$component" "$notifications" >"$work/said" 2>"$work/stderr" || status=$?
    if [ "$status" = 77 ]; then
        printf '%-20s %s\n' "$host" "$(cat "$work/stderr")" && skipped=$((skipped + 1))
    elif [ "$status" != 0 ]; then
        fail "$host" "exit code $status: $(cat "$work/stderr")"
    else
        same "$host" "what the hooks said" "$work/expected" "$work/said" &&
            same "$host" "the records that DX would hold" "$work/expected-record" "$work/record" &&
            pass "$host" "the same records" || true
    fi
done

say "Hosts of the core module"
for host in javascript browser python go java; do
    status=0
    "examples/hosts/core/$host/run.sh" "$module" "$notifications" >"$work/said" 2>"$work/stderr" || status=$?
    if [ "$status" = 77 ]; then
        printf '%-20s %s\n' "core $host" "$(tail -n 1 "$work/stderr")" && skipped=$((skipped + 1))
    elif [ "$status" != 0 ]; then
        fail "core $host" "exit code $status: $(cat "$work/stderr")"
    else
        same "core $host" "what the hooks said" "$work/expected" "$work/said" && pass "core $host" "the same answers" || true
    fi
done

say "Hosts with libpipefold"
{
    printf '%s\n' 'start report' 'step hold' 'finish report' 'refused status invalid_status'
    sed -n 4p "$work/expected"
} >"$work/expected-calls"
for host in c cpp python ruby node java go dotnet; do
    status=0
    with_dx "$work/record" "examples/hosts/library/$host/run.sh" "$library" "$notifications" "$work/spool" \
        >"$work/said" 2>"$work/stderr" || status=$?
    if [ "$status" = 77 ]; then
        printf '%-20s %s\n' "library $host" "$(tail -n 1 "$work/stderr")" && skipped=$((skipped + 1))
    elif [ "$status" != 0 ]; then
        fail "library $host" "exit code $status: $(cat "$work/stderr")"
    else
        same "library $host" "the answers of the calls" "$work/expected-calls" "$work/said" &&
            same "library $host" "the records that DX would hold" "$work/expected-record" "$work/record" &&
            pass "library $host" "the same records" || true
    fi
done

say "Policies"
mkdir -p "$target/examples/policies"
# policy LANGUAGE GONE THERE: previews a start with the policy before it. The request must have THERE and not GONE.
policy() {
    local name=$1 gone=$2 there=$3 status=0 file=$target/examples/policies/$1.wasm
    "examples/policies/$name/build.sh" "$file" 2>"$work/stderr" || status=$?
    if [ "$status" = 77 ]; then
        printf '%-20s %s\n' "$name" "$(cat "$work/stderr")" && skipped=$((skipped + 1))
        return
    elif [ "$status" != 0 ]; then
        fail "$name" "exit code $status: $(cat "$work/stderr")"
        return
    fi
    (cd "$work/empty" && "${clean[@]}" DX_API_URL=http://127.0.0.1:9 \
        pipefold --strict --dry-run --json --policy "$file" start --pipeline-name build-PR-4711 \
        --pipeline-source Tekton --reference-id 1 --head-branch "mona@example.com/fix" \
        --email mona@example.com --github-username mona) >"$work/said" 2>"$work/stderr" || status=$?
    if [ "$status" != 0 ]; then
        fail "$name" "exit code $status: $(cat "$work/stderr")"
    elif grep -qF "$gone" "$work/said" || ! grep -qF "$there" "$work/said"; then
        fail "$name" "expected $there and no $gone: $(cat "$work/said")"
    else
        pass "$name" "$there, and no $gone"
    fi
}
policy rust mona@example.com '"head_branch":"[redacted]/fix"'
policy python '"github_username":"mona"' '"github_username":"mona.lisa"'
policy javascript build-PR-4711 '"pipeline_name":"build"'

# steps LANGUAGE: a step reaches DX through two hooks, and the policy changes it in both.
steps() {
    local file=$target/examples/policies/$1.wasm
    [ -f "$file" ] || return 0
    local run='"pipeline_name":"build","pipeline_source":"Tekton","reference_id":"1","started_at":"2025-01-31"'
    local deploy="{$run,\"step\":\"helm-upgrade-prod\",\"urgent\":true}" internal="{$run,\"step\":\"warm-up-caches\"}"
    {
        printf %s "$deploy" | "${clean[@]}" pipefold --policy "$file" hook step
        printf %s "$internal" | "${clean[@]}" pipefold --policy "$file" hook step
        printf %s "[$deploy,$internal]" | "${clean[@]}" pipefold --policy "$file" hook finish
    } >"$work/said" 2>"$work/stderr" || true
    if [ "$(grep -c '"jobs":\[{"name":"deploy","reference_id":"deploy"[^{]*}\]' "$work/said")" = 2 ] &&
        grep -q '"verdict":"discard"' "$work/said" && ! grep -q helm-upgrade "$work/said"; then
        pass "$1 steps" "one renamed and one dropped, in both hooks"
    else
        fail "$1 steps" "$(cat "$work/said" "$work/stderr")"
    fi
}
steps javascript

say "Hosts with policies in front"
# judged NOTIFICATIONS POLICY: what the command says of a start, steps, and the finish of those that were not refused.
judged() {
    local hook=start line said kept=
    while read -r line; do
        said=$(printf %s "$line" | "${clean[@]}" pipefold --policy "$2" hook "$hook" 2>/dev/null) || [ -n "$said" ] || said='{"error":""}'
        printf '%s\n' "$said"
        case $said in *'"verdict":"report"}' | *'"verdict":"hold"}') kept+=$line, ;; esac
        hook=step
    done < <(sed '$d' "$1")
    printf '[%s%s]' "$kept" "$(tail -n 1 "$1")" | "${clean[@]}" pipefold --policy "$2" hook finish
}
# in_front HOST SCRIPT: the same answers with a real policy and with one that breaks every limit, whatever their errors say.
in_front() {
    local name=$1 policy file status
    for policy in rust hostile; do
        file=$notifications status=0
        [ $policy = rust ] || file=$PWD/examples/hosts/hostile.jsonl
        "$2" "$component" "$file" "$target/examples/policies/$policy.wasm" >"$work/said" 2>"$work/stderr" || status=$?
        if [ "$status" = 77 ]; then
            printf '%-20s %s\n' "$name" "$(tail -n 1 "$work/stderr")" && skipped=$((skipped + 1))
            return
        elif [ "$status" != 0 ]; then
            fail "$name $policy" "exit code $status: $(cat "$work/said" "$work/stderr")"
            return
        fi
        sed -i 's/^{"error":".*"}$/{"error":""}/' "$work/said"
        same "$name $policy" "what the hooks said" "$work/judged-$policy" "$work/said" || return 0
    done
    pass "$name" "the same answers behind a policy, also behind a hostile one"
}
status=0
examples/policies/rust/hostile/build.sh "$target/examples/policies/hostile.wasm" 2>"$work/stderr" || status=$?
if [ "$status" = 77 ]; then
    printf '%-20s %s\n' hostile "$(cat "$work/stderr")" && skipped=$((skipped + 1))
elif [ "$status" != 0 ]; then
    fail hostile "exit code $status: $(cat "$work/stderr")"
else
    judged "$notifications" "$target/examples/policies/rust.wasm" >"$work/judged-rust"
    judged examples/hosts/hostile.jsonl "$target/examples/policies/hostile.wasm" >"$work/judged-hostile"
    in_front python examples/hosts/python/policies.sh
    in_front javascript examples/hosts/javascript/policies.sh
    in_front c examples/hosts/c-component/run.sh
fi

say "Policies out of a registry"
status=0
examples/policies/registry/check.sh || status=$?
case $status in 0) passed=$((passed + 1)) ;; 77) skipped=$((skipped + 1)) ;; *) failed=$((failed + 1)) ;; esac

say "A CI server with libpipefold"
status=0 in_front=()
for name in rust hostile; do
    file=$target/examples/policies/$name.wasm
    [ -f "$file" ] || file=
    in_front+=("$file")
done
examples/ci-server/test.sh "$target/debug/libpipefold.so" "${in_front[@]}" >"$work/said" 2>&1 || status=$?
if [ "$status" = 77 ]; then
    printf '%-20s %s\n' "ci-server" "$(tail -n 1 "$work/said")" && skipped=$((skipped + 1))
elif [ "$status" != 0 ]; then
    fail "ci-server" "exit code $status: $(cat "$work/said")"
else
    pass "ci-server" "one record a run: three at once, DX down, kill -9, a policy, an upgrade"
fi

say "Sources"
mkdir -p "$target/examples/sources"
sample=$PWD/examples/sources/samples/kiln.json
# deliver FILE: the answers of a collector that has the source FILE, and the run and jobs that it then has.
deliver() (
    mkdir -m 700 "$work/collector"
    mkfifo "$work/from-collector"
    printf '[[source]]\nname = "kiln"\nfile = "%s"\nsettings = { only = "acme/" }\n' "$1" >"$work/sources.toml"
    "${clean[@]}" PIPEFOLD_SOURCE_SECRET_KILN=example-secret pipefold --config "$work/sources.toml" serve --data-dir "$work/collector" \
        --listen 127.0.0.1:0 >"$work/from-collector" &
    trap "kill $! 2>/dev/null; wait $! || true; rm -rf '$work/collector' '$work/from-collector'" EXIT
    exec 4<"$work/from-collector"
    read -r url <&4
    # post EVENT BODY: without what a source says of a wrong body, which is its own affair.
    post() {
        curl --silent --show-error --max-time 60 "$url/hooks/kiln" -H 'Authorization: Bearer example-secret' \
            -H 'Content-Type: application/json' ${1:+-H "X-Kiln-Event: $1"} --data-binary "$2" | jq -c 'del(.message)'
    }
    post build.finished "@$sample"
    post ping '{}'
    post '' "@$sample"
    post build.finished "$(jq -c '.build.repository = "other/\u0001"' "$sample")"
    for body in '{' '[]' '{"build":{}}' '{"build":{"id":1,"url":2,"pipeline":[],"repository":null,"started":{}}}' \
        "$(jq -c '.build.id = "x" * 5000' "$sample")" "$(jq -c '.build.pull_request = 1e300' "$sample")" \
        "$(jq -c '.build.steps = [7]' "$sample")"; do
        post build.finished "$body"
    done
    curl --silent --show-error --fail "$url/api/runs/kiln%2Facme%2Fweb%2F4711" |
        jq -c '.run | .record, (.jobs[] | [.reference_id, .status, .started_at, .finished_at])'
)
# translating LANGUAGE: the same answers and records as those of the source in Rust.
translating() {
    local name=$1 status=0 file=$target/examples/sources/$1.wasm
    "examples/sources/$name/build.sh" "$file" 2>"$work/stderr" || status=$?
    if [ "$status" = 77 ]; then
        printf '%-20s %s\n' "$name" "$(cat "$work/stderr")" && skipped=$((skipped + 1))
        return
    elif [ "$status" = 0 ]; then
        deliver "$file" >"$work/said" 2>"$work/stderr" || status=$?
    fi
    if [ "$status" != 0 ]; then
        fail "$name" "exit code $status: $(cat "$work/stderr")"
    else
        same "$name" "the answers and records" examples/sources/samples/kiln.expected "$work/said" &&
            pass "$name" "the same answers and records" || true
    fi
}
if command -v curl >/dev/null && command -v jq >/dev/null; then
    for language in rust python javascript; do translating "$language"; done
else
    printf '%-20s %s\n' sources "skipped: they need curl and jq" && skipped=$((skipped + 1))
fi

say "Recipes for webhooks"
status=0
examples/sources/check.sh || status=$?
case $status in 0) passed=$((passed + 1)) ;; 77) skipped=$((skipped + 1)) ;; *) failed=$((failed + 1)) ;; esac

say "Recipes"
status=0
examples/ci/check.sh || status=$?
case $status in 0) passed=$((passed + 1)) ;; 77) skipped=$((skipped + 1)) ;; *) failed=$((failed + 1)) ;; esac

printf '\ntotal: %d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" = 0 ]
