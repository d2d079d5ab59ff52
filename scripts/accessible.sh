#!/usr/bin/env bash
# Checks the collector's pages by the rules of axe-core (WCAG 2.2 A and AA), in Chromium: light and dark, wide and narrow.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

for tool in npm chromium; do
    command -v "$tool" >/dev/null || {
        echo "accessible: \`$tool\` is missing. Debian: apt-get install $tool" >&2
        exit 1
    }
done
target=$(mkdir -p "${CARGO_TARGET_DIR:-target}" && cd "${CARGO_TARGET_DIR:-target}" && pwd)
npm install --silent --no-audit --no-fund --prefix "$target/axe" axe-core@4

export AXE_CORE=$target/axe/node_modules/axe-core/axe.min.js
exec cargo test ${CI:+--locked} --workspace --exclude pipefold-bench --features pipefold-cli/fleet --lib accessible
