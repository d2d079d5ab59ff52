#!/usr/bin/env bash
# Follows the guides of docs/ as a reader would: runs every shell block of each, in order, in one shell that stops at the first command that
# fails. Takes some minutes and needs the package registries; `guides.sh FILE...` follows these alone.
#
# The guides about policies are followed without the clone: in an empty directory, with a `pipefold` that was installed from a package of this
# build. That of policies needs minisign, docker-registry and skopeo.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD

guides=("$@")
[ $# -gt 0 ] || guides=(docs/policies.md docs/plugin-authors.md docs/embedding.md docs/sources.md)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Variables of this shell about a DX or a run are not the reader's.
for name in $(compgen -e PIPEFOLD_) DX_API_URL DX_API_TOKEN; do unset "$name"; done

# Packs the command of this build, and installs the package below $work/installed, once.
install_package() {
    [ ! -d "$work/installed" ] || return 0
    # The profile and package set of `make test`: another would compile the engine again.
    cargo build ${CI:+--locked} --workspace --exclude pipefold-bench --features pipefold-cli/fleet --bin pipefold --quiet
    local target
    target=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)
    "$target/debug/pipefold" component embed "$target/debug/pipefold" "$work/pipefold" >/dev/null
    scripts/dist/pack.py --level 1 --only tar --build "$(uname -m)-unknown-linux-musl=$work/pipefold" --describe "$work/pipefold" \
        --certificates LICENSE --out "$work/release"
    scripts/install.sh --from "$work/release" --prefix "$work/installed"
}

for guide in "${guides[@]}"; do
    printf '\n== %s\n' "$guide"
    # The guides work in these, and start from nothing.
    rm -rf /tmp/my-policy /tmp/my-python-policy /tmp/my-javascript-policy /tmp/my-host /tmp/my-python-host /tmp/my-javascript-host \
        /tmp/my-source /tmp/my-python-source /tmp/my-javascript-source /tmp/my-spool-* /tmp/policies
    blocks=$(awk '/^```sh$/ { inside = 1; next } /^```$/ { inside = 0 } inside' "$guide")
    directory=$root path=$PATH
    case $guide in
    */policies.md | */plugin-authors.md)
        install_package
        directory=$work/empty path=$work/installed/bin:$PATH
        mkdir -p "$directory"
        ;;
    esac
    # The servers that a guide starts end with its shell.
    (cd "$directory" && PATH=$path bash -euo pipefail -c "trap 'kill \$(jobs -p) 2>/dev/null || true' EXIT; set -v; $blocks")
    printf '\n== %s: every command worked\n' "$guide"
done
