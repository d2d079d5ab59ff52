#!/usr/bin/env bash
# Checks that the crates to be published, `pipefold-sandbox` and `pipefold`, build and work outside this workspace and without a wasm target.
#
# It packages them, unpacks them elsewhere, and builds and runs a small program that depends on them, with a compiler that refuses to do
# anything for a wasm target.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

target=$(mkdir -p "${CARGO_TARGET_DIR:-target}" && cd "${CARGO_TARGET_DIR:-target}" && pwd)
elsewhere=$(mktemp -d)
trap 'rm -rf "$elsewhere"' EXIT

# Writes the component that the package carries, if it is not there or out of date. The package set is that of `make test`.
cargo test ${CI:+--locked} --workspace --exclude pipefold-bench --features pipefold-cli/fleet --no-run --quiet

# `--allow-dirty`: what is checked is the work at hand; and the component is never committed.
cargo package ${CI:+--locked} -p pipefold-sandbox -p pipefold --allow-dirty --no-verify --target-dir "$target/packaged"
for name in pipefold-sandbox pipefold; do
    version=$(cargo pkgid -p "$name" | sed 's/.*[#@]//')
    mkdir "$elsewhere/$name"
    tar -xzf "$target/packaged/package/$name-$version.crate" -C "$elsewhere/$name" --strip-components 1
done

mkdir -p "$elsewhere/consumer/src"
cat >"$elsewhere/consumer/Cargo.toml" <<'TOML'
[package]
name = "consumer"
version = "0.0.0"
edition = "2024"

[workspace]

[dependencies]
pipefold = "*"

[patch.crates-io]
pipefold = { path = "../pipefold" }
pipefold-sandbox = { path = "../pipefold-sandbox" }

# Only whether it builds is asked, and how it runs once.
[profile.dev]
debug = false
TOML
# The versions that the workspace was tested with.
cp Cargo.lock "$elsewhere/consumer/"
cat >"$elsewhere/consumer/src/main.rs" <<'RUST'
use pipefold::{Notification, Reporter};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let spool = std::env::args().nth(1).ok_or("the spool's directory is missing")?;
    let run = Notification {
        pipeline_name: Some("consumer".into()),
        pipeline_source: Some("make package".into()),
        reference_id: Some("run-1".into()),
        ..Notification::default()
    };
    let receipt = Reporter::builder().spool(&spool).build()?.start(run)?;
    assert!(receipt.on_disk, "{:?}", receipt.warnings);
    println!("package: a program outside the workspace recorded the start of {}", receipt.reference_id);
    Ok(())
}
RUST

RUSTC_FOR_HOST=${RUSTC:-$(command -v rustc)}
cat >"$elsewhere/rustc" <<'SH'
#!/bin/sh
case "$*" in
*--target\ wasm32* | *--target=wasm32*)
    echo "package: the packaged crates asked for a wasm target: rustc $*" >&2
    exit 1
    ;;
esac
exec "$RUSTC_FOR_HOST" "$@"
SH
chmod +x "$elsewhere/rustc"
export RUSTC_FOR_HOST

# A target directory of its own, kept: the next time only what changed is built.
cd "$elsewhere/consumer"
CARGO_TARGET_DIR=$target/packaged RUSTC=$elsewhere/rustc cargo build
"$target/packaged/debug/consumer" "$elsewhere/spool"
