#!/usr/bin/env bash
# Opens the page in Chromium without a window, and prints what it shows: run.sh MODULE NOTIFICATIONS
source "$(dirname "${BASH_SOURCE[0]}")/../../../tools.sh"

need python3
need chromium
here=$root/examples/hosts/core
served=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$served"' EXIT
cp "$here/browser/index.html" "$here/javascript/rules.mjs" "$served"
cp "$1" "$served/core.wasm"
cp "$2" "$served/notifications.jsonl"
mkfifo "$served/log"
python3 -u -m http.server --bind 127.0.0.1 --directory "$served" 0 >"$served/log" 2>/dev/null &
server=$!
read -r line <"$served/log"
address=${line#*(}
options=(--headless --disable-gpu --disable-dev-shm-usage --no-first-run "--user-data-dir=$served/profile" --virtual-time-budget=20000)
# Chromium has no sandbox for root.
[ "$(id -u)" != 0 ] || options+=(--no-sandbox)
timeout 120 chromium "${options[@]}" --dump-dom "${address%%)*}" 2>/dev/null |
    python3 -c 'import html, re, sys; print(html.unescape(re.search("<pre[^>]*>(.*?)</pre>", sys.stdin.buffer.read().decode(), re.S)[1]), end="")'
