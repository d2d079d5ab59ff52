# Sourced by the scripts beside it: installs what an example needs into target/examples, once, by the language's own package client.
# An example that cannot run here says why and ends with 77, which is neither success nor failure.
# shellcheck shell=bash
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
installed=$(mkdir -p "${CARGO_TARGET_DIR:-$root/target}/examples" && cd "${CARGO_TARGET_DIR:-$root/target}/examples" && pwd)

skip() {
    printf 'skipped: %s\n' "$*" >&2
    exit 77
}

need() {
    command -v "$1" >/dev/null || skip "$1 is not installed"
}

# quietly LOG COMMAND...: shows the end of what it said only if it failed.
quietly() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 || { tail -n 5 "$log" >&2 && return 1; }
}

# python_packages NAME REQUIREMENTS: a virtual environment target/examples/NAME with these packages.
python_packages() {
    local to=$installed/$1 wanted=$2
    need python3
    if ! cmp -s "$wanted" "$to/installed.txt"; then
        quietly "$installed/$1.log" python3 -m venv --clear "$to" || skip "python3 has no working venv module"
        quietly "$installed/$1.log" "$to/bin/pip" install --disable-pip-version-check --retries 1 --timeout 15 --requirement "$wanted" ||
            skip "pip could not install $(tr '\n' ' ' <"$wanted")(is the package registry out of reach?)"
        cp "$wanted" "$to/installed.txt"
    fi
}

# npm_packages NAME PACKAGE_JSON: a directory target/examples/NAME with these packages in its node_modules.
npm_packages() {
    local to=$installed/$1 wanted=$2
    need node
    need npm
    if ! cmp -s "$wanted" "$to/installed.json"; then
        rm -rf "$to" && mkdir -p "$to" && cp "$wanted" "$to/package.json"
        quietly "$installed/$1.log" npm install --prefix "$to" --no-package-lock --no-audit --no-fund --fetch-retries 1 --fetch-timeout 60000 ||
            skip "npm could not install what $wanted names (is the package registry out of reach?)"
        cp "$wanted" "$to/installed.json"
    fi
}

# rust_component DIRECTORY PACKAGE COMPONENT: builds a crate that uses wit-bindgen, and makes a component of it.
rust_component() {
    local target=wasm32-unknown-unknown libraries
    local build=(cargo build --release --locked --target "$target" --package "$2")
    need cargo
    export CARGO_TARGET_DIR=$installed/cargo
    cd "$1"
    libraries=$(rustc --print target-libdir --target "$target" 2>/dev/null) || true
    if ! compgen -G "$libraries/libcore-*" >/dev/null; then
        # As `make setup` leaves a Debian machine: its toolchain builds the standard library too.
        [ -x /usr/bin/cargo ] && command -v wasm-ld-19 >/dev/null || skip "the target $target is missing; \`make setup\` adds it"
        build=(env "PATH=/usr/bin:$PATH" RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 "${build[@]}" -Zbuild-std=std,panic_abort
            --config "target.$target.linker=\"wasm-ld-19\"")
    fi
    cargo fetch --locked --quiet || skip "cargo could not fetch the dependencies of $2 (is the package registry out of reach?)"
    "${build[@]}" --quiet
    cargo run --locked --quiet --manifest-path "$root/examples/policies/rust/Cargo.toml" --package componentize -- \
        "$CARGO_TARGET_DIR/$target/release/$2.wasm" "$3"
}
