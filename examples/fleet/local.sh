#!/usr/bin/env bash
# A fleet on this machine: three NATS nodes, two gateways, two forwarders and a DX, all plain processes on loopback. It reports runs through
# both gateways, kills the node that leads the queue and one forwarder meanwhile, and counts what DX has at the end. It stops by itself and
# leaves nothing running.
#   local.sh [--runs N] [--dx-url URL] [--stay SECONDS]
#     --runs N        how many runs to report (60)
#     --dx-url URL    tell this DX, with the token in DX_API_TOKEN, and not a stand-in
#     --stay SECONDS  leave everything running for so long afterwards, to look at it (0)
# It takes `pipefold` and `dx-standin` from PATH, or builds them. nats-server: from PATH, Debian's package or PyPI's.
set -euo pipefail
shopt -s extglob
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

runs=60 dx_url='' stay=0
usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"; }
while [ $# -gt 0 ]; do
    case $#:$1:${2:-} in
    *:--help:* | *:-h:*) usage && exit ;;
    # With fewer nothing is left to report once a part of it is dead.
    *:--runs:[3-9] | *:--runs:[1-9][0-9]*([0-9])) runs=$2 ;;
    *:--dx-url:http*) dx_url=$2 ;;
    *:--stay:[0-9]*([0-9])) stay=$2 ;;
    *) usage >&2 && exit 2 ;;
    esac
    shift 2
done
# Before anything is started.
token=${DX_API_TOKEN:-}
[ -z "$dx_url" ] || [ -n "$token" ] || { echo "fleet: $dx_url needs a token: set DX_API_TOKEN" >&2 && exit 2; }

say() { printf '\n== %s\n' "$*"; }

work=$(mktemp -d)
declare -A process=()
clean_up() {
    # Only what was started here, by number. Forwarders and gateways first: without a queue they would wait for it before they end.
    local name
    for name in "${!process[@]}"; do
        case $name in n[0-2]) ;; *) kill "${process[$name]}" 2>/dev/null || true ;; esac
    done
    for name in "${!process[@]}"; do
        case $name in n[0-2]) ;; *) wait "${process[$name]}" 2>/dev/null || true ;; esac
    done
    for name in n0 n1 n2; do [ -z "${process[$name]:-}" ] || kill "${process[$name]}" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap clean_up EXIT
fail() {
    for log in "$work"/*.log; do [ ! -s "$log" ] || { printf -- '--- %s\n' "$(basename "$log" .log)" && tail -n 5 "$log"; } >&2; done
    printf 'fleet: %s\n' "$*" >&2
    exit 1
}
begin() { # NAME COMMAND...
    local name=$1
    shift
    "$@" >"$work/$name.out" 2>>"$work/$name.log" </dev/null 9>&- &
    process[$name]=$!
}
die() { # NAME: at once, with nothing left to do
    {
        kill -KILL "${process[$1]}"
        wait "${process[$1]}"
    } 2>/dev/null || true
    unset "process[$1]"
}
# await WHAT SECONDS COMMAND...: until the command works.
await() {
    local what=$1 until=$((SECONDS + $2))
    shift 2
    until "$@" 2>"$work/$what.log"; do
        [ "$SECONDS" -lt "$until" ] || fail "$what did not come"
        for name in "${!process[@]}"; do kill -0 "${process[$name]}" 2>/dev/null || fail "$name has ended"; done
        sleep 0.2
    done
}
# Below the ports that the system gives to connections.
taken=' '
free_port() {
    while :; do
        port=$((12000 + (RANDOM * 32768 + RANDOM) % 18000))
        case $taken in *" $port "*) continue ;; esac
        (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    taken+="$port "
}
# A shell can ask without any client.
get() { # PORT PATH
    local answer
    exec 3<>"/dev/tcp/127.0.0.1/$1" || return
    printf 'GET %s HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' "$2" >&3
    answer=$(cat <&3)
    exec 3<&-
    case $answer in 'HTTP/1.'[01]' 200'*) sed '1,/^\r*$/d' <<<"$answer" ;; *) return 1 ;; esac
}
healthy() { get "$1" /healthz >/dev/null; }

nats_server=$("$root/tests/fleet/nats-server.sh") || exit
if ! { command -v pipefold && { [ -n "$dx_url" ] || command -v dx-standin; }; } >/dev/null; then
    say "Building pipefold (some minutes the first time: a WebAssembly engine is compiled too)"
    # The profile and package set of `make test`, and with examples also its features: another would compile the engine again.
    (cd "$root" && cargo build ${CI:+--locked} --workspace --exclude pipefold-bench --features pipefold-cli/fleet --bins --examples --quiet)
    PATH=$(cd "$root" && cd "${CARGO_TARGET_DIR:-target}/debug" && pwd):$PATH
fi
# Variables of this shell about another DX, pipeline or run are not this fleet's.
for name in $(compgen -e PIPEFOLD_) DX_API_URL DX_API_TOKEN; do unset "$name"; done
export no_proxy=127.0.0.1 NO_PROXY=127.0.0.1
touch "$work/operator.toml"
pipefold() { command pipefold --config "$work/operator.toml" "$@"; }

say "Three NATS nodes"
clients=() routes=() monitors=()
for node in 0 1 2; do
    free_port && clients[node]=$port
    free_port && routes[node]=$port
    free_port && monitors[node]=$port
done
for node in 0 1 2; do
    sed -e "s/@NAME@/n$node/; s/@CLIENT@/${clients[node]}/; s/@MONITOR@/${monitors[node]}/; s/@ROUTE@/${routes[node]}/" \
        -e "s#@ROUTES@#$(printf '"nats-route://127.0.0.1:%s", ' "${routes[@]}")#; s#@STORE@#$work/n$node#" "$here/nats.conf" >"$work/n$node.conf"
    begin "n$node" "$nats_server" --config "$work/n$node.conf"
done
for node in 0 1 2; do await "node n$node" 60 healthy "${monitors[node]}"; done
queue=$(printf ',nats://127.0.0.1:%s' "${clients[@]}")
queue=${queue#,}
echo "$queue"

say "The queue: one copy on each node"
# Nodes that have just met may need a moment until one of them leads.
await "the queue" 60 pipefold queue init --queue "$queue" --replicas 3 --max-size "512 MiB"
await "a look at the queue" 60 pipefold queue check --queue "$queue"

say "DX"
if [ -z "$dx_url" ]; then
    token=fleet-example-token
    mkfifo "$work/to-dx"
    dx-standin --token "$token" --seconds 3600 <"$work/to-dx" >"$work/dx.out" 2>"$work/dx.log" &
    process[dx]=$!
    exec 9>"$work/to-dx"
    await "the stand-in for DX" 20 test -s "$work/dx.out"
    dx_url=$(head -n 1 "$work/dx.out")
fi
(umask 077 && printf '%s' "$token" >"$work/dx-token")
echo "$dx_url"

say "Two forwarders"
forwarders=()
for number in 1 2; do
    free_port && forwarders[number]=$port
    begin "forwarder-$number" command pipefold --config "$work/operator.toml" forward --queue "$queue" \
        --dx-url "$dx_url" --token-file "$work/dx-token" --rate 50 --listen "127.0.0.1:$port"
done
for number in 1 2; do await "forwarder $number" 20 healthy "${forwarders[number]}"; done
echo "http://127.0.0.1:${forwarders[1]}/metrics http://127.0.0.1:${forwarders[2]}/metrics"

say "Two gateways"
gateways=()
for number in 1 2; do
    free_port && gateways[number]=$port
    begin "gateway-$number" command pipefold --config "$work/operator.toml" serve --queue "$queue" \
        --listen "127.0.0.1:$port" --data-dir "$work/gateway-$number"
done
for number in 1 2; do await "gateway $number" 20 healthy "${gateways[number]}"; done
echo "http://127.0.0.1:${gateways[1]} http://127.0.0.1:${gateways[2]}"

# The start through one gateway and the finish through the other: parts of one run may take any way.
report() { # NUMBER
    local this=$((1 + $1 % 2)) other=$((2 - $1 % 2))
    local run=(--pipeline-name fleet --pipeline-source example --reference-id "fleet-example/$$/$1" --token-file "$work/any")
    DX_API_URL=http://127.0.0.1:${gateways[$this]} pipefold --strict --spool "$work/spool-$this" start "${run[@]}"
    DX_API_URL=http://127.0.0.1:${gateways[$other]} pipefold --strict --spool "$work/spool-$other" finish "${run[@]}" --status success
}
(umask 077 && printf 'any-token-of-a-runner' >"$work/any")
stream() { # NODE: what it says of the queue
    get "${monitors[$1]}" '/jsz?streams=true&accounts=true' 2>/dev/null | grep -A 40 '"name": "PIPEFOLD",'
}
leader() { stream 1 | sed -n 's/.*"leader": "n\([0-2]\)".*/\1/p' | head -n 1; }

third=$((runs / 3))
say "Reporting $runs runs, each by both gateways"
for ((run = 0; run < third; run++)); do report "$run"; done
node=$(leader)
echo "$third are reported; now n$node dies, which leads the queue"
die "n$node"
for ((run = third; run < 2 * third; run++)); do report "$run"; done
echo "$((2 * third)) are reported; now a forwarder dies"
die forwarder-1
for ((run = 2 * third; run < runs; run++)); do report "$run"; done
echo "$runs are reported; n$node starts again"
begin "n$node" "$nats_server" --config "$work/n$node.conf"

say "Waiting until nothing waits"
drained() {
    local gateway node=0 messages
    for gateway in "${gateways[@]}"; do
        ! get "$gateway" '/api/runs?limit=200' | grep -q '"waiting_since":"' || return
    done
    for node in 0 1 2; do
        messages=$(stream "$node" | sed -n 's/.*"messages": \([0-9]*\).*/\1/p' | head -n 1)
        [ "$messages" = 0 ] || return
    done
}
await "the end of the queue" 180 drained
await "a look at the queue" 60 pipefold queue check --queue "$queue"
get "${forwarders[2]}" /metrics | grep -v '^#'

if [ "$stay" -gt 0 ]; then
    say "Everything stays for $stay seconds"
    # In the background: a signal would be heard only after it.
    begin stay sleep "$stay"
    wait "${process[stay]}"
    unset "process[stay]"
fi
if [ -n "${process[dx]:-}" ]; then
    say "What DX has"
    # It prints its records when its stdin ends.
    exec 9>&-
    wait "${process[dx]}" || true
    unset "process[dx]"
    done=$(grep -c '"status": "success"' "$work/dx.out" || true)
    echo "$done of $runs runs, as their runners reported them"
    [ "$done" = "$runs" ] || fail "runs are missing"
fi
