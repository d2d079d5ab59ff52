#!/usr/bin/env bash
# Sees to it that this machine can build pipefold. Does nothing, quickly, where nothing is missing.
#
# It checks for cargo, rustc and a C compiler, and installs one thing only: a way to build the default component for
# wasm32-unknown-unknown, which is the first of
#   1. the target is installed;
#   2. `rustup target add` works;
#   3. Debian's toolchain, which builds the standard library for the target itself (root or passwordless sudo).
# host/sandbox/build/component.rs uses what this script finds, and looks for the same things.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

target=wasm32-unknown-unknown
debian_packages=(rustc-web cargo-web rust-web-src lld-19)
# The same as `rust-version` in Cargo.toml: the edition and wasmtime need it.
oldest_rust=$(sed -n 's/^rust-version *= *"\([0-9.]*\)".*/\1/p' Cargo.toml)

say() { printf 'setup: %s\n' "$*"; }
die() {
    printf 'setup: %s\n' "$@" >&2
    exit 1
}

# at_least 1.96.0 1.95
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | sed -n 1p)" = "$2" ]; }

# A download may hang without ever failing; where there is no `timeout`, it may take what it takes.
bounded() {
    local seconds=$1
    shift
    if command -v timeout >/dev/null; then timeout "$seconds" "$@"; else "$@"; fi
}

check_rust() {
    local tool version
    for tool in cargo rustc; do
        version=$("$tool" --version 2>/dev/null | sed -n "s/^$tool \([0-9][0-9.]*\).*/\1/p") || true
        [ -n "$version" ] || die "\`$tool\` is missing or does not run; Rust $oldest_rust or newer is needed." \
            "Install it with rustup (rustup.rs), or on Debian: apt-get install rustc-web cargo-web"
        at_least "$version" "$oldest_rust" || die "\`$tool\` is $version, and $oldest_rust or newer is needed." \
            "Run \`rustup update\`, or on Debian: apt-get install rustc-web cargo-web"
    done
}

# ring and the engine compile C. A compiler without the C library's headers is found out here and not minutes later.
check_c() {
    local compiler=${CC:-cc}
    # shellcheck disable=SC2086 # CC may carry arguments
    printf '#include <stdlib.h>\n' | $compiler -fsyntax-only -x c - 2>/dev/null || die \
        "the C compiler \`$compiler\` is missing or finds no <stdlib.h>; some dependencies are C." \
        "Debian: apt-get install gcc libc6-dev. Fedora: dnf install gcc glibc-devel. Alpine: apk add gcc musl-dev." \
        "macOS: xcode-select --install. Another compiler: set CC."
}

has_target() {
    local libraries
    libraries=$(rustc --print target-libdir --target "$target" 2>/dev/null) && compgen -G "$libraries/libcore-*" >/dev/null
}

has_debian_toolchain() {
    local sysroot version
    [ -x /usr/bin/cargo ] && [ -x /usr/bin/rustc ] || return 1
    [ -x /usr/bin/wasm-ld-19 ] || [ -x /usr/bin/wasm-ld ] || return 1
    sysroot=$(/usr/bin/rustc --print sysroot 2>/dev/null) || return 1
    [ -f "$sysroot/lib/rustlib/src/rust/library/std/Cargo.toml" ] || return 1
    version=$(/usr/bin/rustc --version | sed -n 's/^rustc \([0-9][0-9.]*\).*/\1/p')
    at_least "$version" "$oldest_rust"
}

add_target() {
    command -v rustup >/dev/null || return 1
    say "adding the target $target with rustup"
    # Three minutes: the target is some 20 MB, and without a network rustup tries again for a while.
    RUSTUP_AUTO_INSTALL=0 RUST_BACKTRACE=0 bounded 180 rustup target add "$target" || {
        say "rustup could not add it"
        return 1
    }
    # It went to rustup's toolchain; the rustc in PATH may be another.
    has_target
}

has_candidate() {
    local version
    version=$(apt-cache policy rustc-web 2>/dev/null | sed -n 's/^ *Candidate: *\([0-9][0-9.]*\).*/\1/p')
    [ -n "$version" ] && at_least "$version" "$oldest_rust"
}

install_debian_toolchain() {
    local as_root=()
    command -v apt-get >/dev/null && command -v apt-cache >/dev/null || return 1
    if [ "$(id -u)" != 0 ]; then
        sudo -n true 2>/dev/null || return 1
        as_root=(sudo -n)
    fi
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120)
    if ! has_candidate; then
        bounded 180 "${as_root[@]}" "${apt[@]}" update || return 1
        has_candidate || return 1
    fi
    say "installing Debian's ${debian_packages[*]}"
    # --no-remove: these conflict with Debian's rustc, cargo and rustup, and a set-up takes nothing away.
    local install=("${as_root[@]}" "${apt[@]}" install -y --no-install-recommends --no-remove "${debian_packages[@]}")
    # Lists that are out of date name packages that are gone.
    bounded 900 "${install[@]}" || { bounded 180 "${as_root[@]}" "${apt[@]}" update && bounded 900 "${install[@]}"; } || return 1
    has_debian_toolchain
}

# The standard library's own dependencies, so that a build without a network finds them. Not needed to go on.
fetch_debian_std() {
    local fetch=(env PATH="/usr/bin:$PATH" RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc
        /usr/bin/cargo fetch --locked --target "$target" -Zbuild-std=std,panic_abort --quiet)
    "${fetch[@]}" --offline 2>/dev/null || bounded 300 "${fetch[@]}" 2>/dev/null ||
        say "could not fetch the dependencies of the standard library; the build will try again"
}

check_rust
check_c
if has_target; then
    how="the installed target"
elif has_debian_toolchain || { ! add_target && install_debian_toolchain; }; then
    how="Debian's toolchain"
    fetch_debian_std
elif has_target; then
    how="the target that rustup added"
else
    die "cannot build the default component: the target $target is missing and could not be added. Do one of these:" \
        "  rustup target add $target" \
        "  apt-get install ${debian_packages[*]}        (Debian, as root; Rust $oldest_rust or newer)"
fi
say "ready: $(rustc --version), $target by $how"
