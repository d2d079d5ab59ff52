#!/usr/bin/env bash
# Formatting and lints, for the packages that `make test` builds and with its profile, so that nothing is compiled for this alone.
# Debian's toolchain has no clippy: a missing tool is said, and is no failure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if cargo fmt --version >/dev/null 2>&1; then
    cargo fmt --all --check
    # A workspace of its own.
    cargo fmt --manifest-path fuzz/Cargo.toml --check
else
    echo "lint: formatting not checked: no rustfmt here (\`rustup component add rustfmt\`, Debian: rustfmt-web)"
fi

if cargo clippy --version >/dev/null 2>&1; then
    cargo clippy ${CI:+--locked} --workspace --exclude pipefold-bench --all-targets -- -D warnings
else
    echo "lint: lints not checked: no clippy here (\`rustup component add clippy\`)"
fi
