#!/usr/bin/env bash
# Checks the collector's pages by the rules of axe-core (WCAG 2.2 A and AA), in Chromium: light and dark, wide and narrow.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

command -v chromium >/dev/null || {
    echo "accessible: \`chromium\` is missing. Debian: apt-get install chromium" >&2
    exit 1
}
scripts/axe.sh >/dev/null
exec cargo test ${CI:+--locked} --workspace --exclude pipefold-bench --features pipefold-cli/fleet --lib accessible
