#!/usr/bin/env bash
# Formatting, lints and the C header, for the packages that `make test` builds and with its profile, so that nothing is compiled for this alone.
# Debian's toolchain has no clippy: a missing tool is said, and is no failure.
#
#   lint.sh [format|lints]   one of the two
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
part=${1:-}

if [ "$part" = lints ]; then
    :
elif cargo fmt --version >/dev/null 2>&1; then
    cargo fmt --all --check
    # A workspace of its own.
    cargo fmt --manifest-path fuzz/Cargo.toml --check
    cargo fmt --manifest-path host/c/header/Cargo.toml --check
else
    echo "lint: formatting not checked: no rustfmt here (\`rustup component add rustfmt\`, Debian: rustfmt-web)"
fi
[ "$part" != format ] || exit 0

# cargo also finds the clippy of a toolchain that is not its own, which would build what it checks with that one.
of_rustc=$(rustc --version | sed -n 's/^rustc 1\.\([0-9]*\)\..*/\1/p')
of_clippy=$(cargo clippy --version 2>/dev/null | sed -n 's/^clippy 0\.1\.\([0-9]*\) .*/\1/p') || true
if [ -n "$of_clippy" ] && [ "$of_clippy" = "$of_rustc" ]; then
    cargo clippy ${CI:+--locked} --workspace --exclude pipefold-bench --features pipefold-cli/fleet --all-targets -- -D warnings
else
    echo "lint: lints not checked: no clippy of this toolchain here (\`rustup component add clippy\`)"
fi

# The C library's header is what its source says.
cargo run --locked --quiet --manifest-path host/c/header/Cargo.toml --target-dir "${CARGO_TARGET_DIR:-target}/header" -- --check
