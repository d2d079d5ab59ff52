#!/usr/bin/env bash
# Follows the guides of docs/ as a reader would: runs every shell block of each, in order, in one shell that stops at the first command that
# fails. Takes some minutes and needs the package registries; `guides.sh FILE...` follows these alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

guides=("$@")
[ $# -gt 0 ] || guides=(docs/plugin-authors.md docs/embedding.md docs/sources.md)

# Variables of this shell about a DX or a run are not the reader's.
for name in $(compgen -e PIPEFOLD_) DX_API_URL DX_API_TOKEN; do unset "$name"; done

for guide in "${guides[@]}"; do
    printf '\n== %s\n' "$guide"
    # The guides work in these, and start from nothing.
    rm -rf /tmp/my-policy /tmp/my-python-policy /tmp/my-javascript-policy /tmp/my-host /tmp/my-python-host /tmp/my-javascript-host \
        /tmp/my-source /tmp/my-python-source /tmp/my-javascript-source
    blocks=$(awk '/^```sh$/ { inside = 1; next } /^```$/ { inside = 0 } inside' "$guide")
    # The servers that a guide starts end with its shell.
    bash -euo pipefail -c "trap 'kill \$(jobs -p) 2>/dev/null || true' EXIT; set -v; $blocks"
    printf '\n== %s: every command worked\n' "$guide"
done
