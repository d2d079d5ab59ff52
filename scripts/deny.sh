#!/usr/bin/env bash
# Checks licences, sources, bans and known vulnerabilities of all dependencies, by the rules of deny.toml.
#
# The database of advisories is fetched; where that fails, the other checks are made and the line at the end says so. A copy that is there
# already is used with PIPEFOLD_ADVISORIES=DIR, the parent directory of the clone, as `advisories.db-path` of cargo-deny.
# It runs cargo-deny, which it installs into target/tools/ if there is none.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The version that deny.toml was written for.
version=0.20.2

tools=$(mkdir -p target/tools && cd target/tools && pwd)
export PATH="$tools/bin:$PATH"
if ! cargo deny --version >/dev/null 2>&1; then
    echo "deny: installing cargo-deny $version into target/tools"
    cargo install cargo-deny --version "$version" --locked --quiet --root "$tools" --target-dir "$tools/build" || {
        echo "deny: cargo-deny could not be installed: see above; take it from another machine, and put it into a directory of PATH" >&2
        exit 1
    }
fi

cargo deny --workspace check bans licenses sources

if [ -n "${PIPEFOLD_ADVISORIES:-}" ]; then
    config=$(mktemp)
    trap 'rm -f "$config"' EXIT
    sed "s|^\[advisories\]|&\ndb-path = \"$PIPEFOLD_ADVISORIES\"|" deny.toml >"$config"
    cargo deny --workspace check --config "$config" --disable-fetch advisories
elif cargo deny fetch db 2>/dev/null; then
    cargo deny --workspace check --disable-fetch advisories
else
    echo "deny: the database of advisories cannot be fetched: known vulnerabilities were not checked"
fi
