#!/usr/bin/env bash
# Builds the Rust policy: build.sh COMPONENT
source "$(dirname "${BASH_SOURCE[0]}")/../../tools.sh"

component=$(realpath "$1")
cd "$root/examples/policies/rust"
need cargo
export CARGO_TARGET_DIR=$installed/cargo
target=wasm32-unknown-unknown
build=(cargo build --release --locked --target "$target" --package redact_emails)
libraries=$(rustc --print target-libdir --target "$target" 2>/dev/null) || true
if ! compgen -G "$libraries/libcore-*" >/dev/null; then
    # As `make setup` leaves a Debian machine: its toolchain builds the standard library too.
    [ -x /usr/bin/cargo ] && command -v wasm-ld-19 >/dev/null || skip "the target $target is missing; \`make setup\` adds it"
    build=(env "PATH=/usr/bin:$PATH" RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 "${build[@]}" -Zbuild-std=std,panic_abort
        --config "target.$target.linker=\"wasm-ld-19\"")
fi
cargo fetch --locked --quiet || skip "cargo could not fetch the policy's dependencies (is the package registry out of reach?)"
"${build[@]}" --quiet
cargo run --locked --quiet --package componentize -- "$CARGO_TARGET_DIR/$target/release/redact_emails.wasm" "$component"
