#!/usr/bin/env bash
# Installs each package of dist/ in a root that has nothing else, and reports a run from there to a server on this machine. It needs root, for
# chroot and read-only mounts; mmdebstrap, busybox, rpm, npm, cargo-binstall, minisign and qemu-user-static for what names them. A trial that
# cannot be made here says why; the last line counts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

dist=$PWD/dist
[ -f "$dist/SHA256SUMS" ] || { echo "dist-test: there is no dist/SHA256SUMS: run \`make dist\` first" >&2 && exit 1; }
here=$(uname -m)
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
archive() { echo "$dist/pipefold${2:-}-$version-$1-unknown-linux-musl.tar.gz"; }

work=$(mktemp -d /var/tmp/pipefold-dist-test.XXXXXX)
# Other users look into the roots below.
chmod 0755 "$work"
server=
clean_up() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap clean_up EXIT

# The profile and package set of `make test`: another would compile the engine again.
cargo build ${CI:+--locked} --workspace --exclude pipefold-bench --features pipefold-cli/fleet --bin dx-standin --quiet
mkfifo "$work/to-server" "$work/from-server"
"${CARGO_TARGET_DIR:-target}/debug/dx-standin" --token example-token --seconds 3600 <"$work/to-server" >"$work/from-server" &
server=$!
exec 3>"$work/to-server" 4<"$work/from-server"
read -r url <&4

passed=0 failed=0 skipped=0
skip() { printf '%-34s skipped: %s\n' "$1" "$2" && skipped=$((skipped + 1)); }
# trial NAME COMMAND...: the command must end well.
trial() {
    local name=$1
    shift
    if "$@" >"$work/log" 2>&1; then
        printf '%-34s passed\n' "$name" && passed=$((passed + 1))
    else
        printf '%-34s FAILED (%s)\n' "$name" "$?" && failed=$((failed + 1))
        sed 's/^/    /' "$work/log"
    fi
}
# refused NAME COMMAND...: the command must fail.
refused() {
    local name=$1
    shift
    # shellcheck disable=SC2016 # the inner shell expands
    trial "$name" sh -c '! "$@"' sh "$@"
}
has() { command -v "$1" >/dev/null; }

# The variables of a job, without those of this shell.
job=(env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DX_API_URL="$url" DX_API_TOKEN=example-token no_proxy=127.0.0.1)
# report NAME EXECUTABLE [VARIABLE=VALUE... | EMULATOR]: a run around `true`, by --strict a failure if DX does not have it.
reported=()
flags=(--strict exec --pipeline-name packages --pipeline-source dist-test)
report() {
    local name=$1 executable=$2
    shift 2
    reported+=("$name")
    trial "$name" "${job[@]}" HOME="$work" PIPEFOLD_SPOOL="$work/spool" "$@" "$executable" "${flags[@]}" --reference-id "$name" -- true
}

unpacked() { # PROCESSOR [-runner]: prints the directory of an unpacked archive
    mkdir -p "$work/unpacked"
    tar -xzf "$(archive "$@")" -C "$work/unpacked"
    echo "$work/unpacked/pipefold${2:-}-$version-$1-unknown-linux-musl"
}

for flavour in "" -runner; do
    if [ -f "$(archive "$here" "$flavour")" ]; then
        report "archive$flavour-$here" "$(unpacked "$here" "$flavour")/bin/pipefold"
    fi
done
for processor in x86_64 aarch64; do
    for flavour in "" -runner; do
        if [ "$processor" = "$here" ] || [ ! -f "$(archive "$processor" "$flavour")" ]; then continue; fi
        if has "qemu-$processor-static"; then
            report "archive$flavour-$processor" "$(unpacked "$processor" "$flavour")/bin/pipefold" "qemu-$processor-static"
        else
            skip "archive$flavour-$processor" "qemu-$processor-static is missing"
        fi
    done
done
pipefold=$(unpacked "$here")/bin/pipefold

# The build for runners: policies from the cache that the other build fills, and a clear line where something is missing.
if [ -f "$(archive "$here" -runner)" ]; then
    runner=$(unpacked "$here" -runner)/bin/pipefold
    policy=$dist/pipefold-$version.component.wasm
    cache=(PIPEFOLD_POLICY="$policy" PIPEFOLD_POLICY_CACHE="$work/policies")
    # says LINES TEXT COMMAND...: the command fails with this number of lines, and they have the text.
    says() {
        local lines=$1 text=$2 said
        shift 2
        ! said=$("${job[@]}" HOME="$work" PIPEFOLD_SPOOL="$work/spool-runner" "$@" 2>&1) || return 1
        echo "$said"
        [[ $said == *"$text"* && $(wc -l <<<"$said") -eq $lines ]]
    }
    trial "runner: no collector" says 1 'lacks the command' "$runner" serve
    trial "runner: no GoCD reader" says 1 'lacks the command' "$runner" gocd sync --since 1d
    trial "runner: no queue" says 1 'knows no queue' "$runner" queue check --queue nats://127.0.0.1:4222
    trial "runner: no compiler" says 1 'has no compiler' "$runner" component compile "$policy" --policy-cache "$work/policies"
    trial "runner: a policy that is not compiled" says 3 'has no compiler' "${cache[@]}" "$runner" "${flags[@]}" --reference-id none -- true
    trial "runner: the cache is filled" "$pipefold" component compile "$policy" --policy-cache "$work/policies"
    report runner-policy "$runner" "${cache[@]}"
fi

# The C library: a program that pkg-config compiles, shared and static. Nothing is compiled by it, so no cache appears.
library=$dist/pipefold-$version-lib-$here.tar.gz
if [ -f "$library" ] && has cc && has pkg-config; then
    tar -xzf "$library" -C "$work"
    lib=$work/pipefold-$version-lib-$here
    for how in shared static; do
        # With `--static` alone the linker would take the shared one, which is there too.
        options=$(PKG_CONFIG_PATH=$lib/lib/pkgconfig pkg-config --cflags --libs --"$how" pipefold)
        [ $how = shared ] || options=${options/-lpipefold/-l:libpipefold.a}
        # shellcheck disable=SC2086 # several words
        trial "library: $how, compile" cc examples/hosts/library/c/host.c -o "$work/host-$how" $options
        sed "s/AA713E04/library-$how/" examples/hosts/notifications.jsonl >"$work/notifications"
        reported+=("library-$how")
        trial "library: $how, run" "${job[@]}" HOME="$work/home-$how" LD_LIBRARY_PATH="$lib/lib" "$work/host-$how" "$work/notifications" "$work/spool-$how"
    done
    trial "library: nothing was compiled" test ! -e "$work/home-shared/.cache" -a ! -e "$work/home-static/.cache"
    if has readelf; then
        refused "library: no glibc newer than 2.28" sh -c "readelf --dyn-syms '$lib/lib/libpipefold.so.1' | grep -E 'GLIBC_2\.(29|[3-9][0-9])'"
    fi
else
    skip library "cc, pkg-config or $library is missing"
fi

# The environments of languages.
python3 -m venv "$work/venv"
trial "wheel: pip install" "$work/venv/bin/pip" install --quiet --no-index --find-links "$dist" pipefold
report wheel "$work/venv/bin/pipefold"
for platform in "manylinux2014_$here" "musllinux_1_1_$here"; do
    trial "wheel: tag $platform" python3 -m pip download --quiet --no-deps --no-index --find-links "$dist" --only-binary :all: \
        --platform "$platform" --dest "$work/$platform" pipefold
done
if has npm; then
    for scripts in true false; do
        prefix=$work/npm-$scripts
        trial "npm: install, scripts $scripts" npm install --global --offline --no-audit --no-fund --ignore-scripts="$([ $scripts = true ] && echo false || echo true)" \
            --prefix "$prefix" "$dist"/pipefold-linux-*-"$version".tgz "$dist/pipefold-$version.tgz" --force
        report "npm-scripts-$scripts" "$prefix/bin/pipefold" PATH="$PATH"
    done
    # The executable itself is in place: a call does not start Node.
    trial "npm: the executable is in place" sh -c "head -c 4 '$work/npm-true/bin/pipefold' | grep -q ELF"
else
    skip npm "npm is missing"
fi
if has cargo-binstall && has openssl && has ip && [ "$(id -u)" = 0 ]; then
    trial "cargo binstall" scripts/dist/binstall.sh "$dist" "$work/binstall"
    report binstall "$work/binstall/bin/pipefold"
else
    skip binstall "cargo-binstall, openssl or ip (iproute2) is missing, or this is not root"
fi
# A program that compiles the rules leaves their code there.
trial "the code inside was used" test ! -e "$work/.cache"

# Roots of systems.
as_root=0
[ "$(id -u)" != 0 ] || as_root=1
in_root() { # NAME ROOT EXECUTABLE COMMAND...: a report from inside a root
    local name=$1 root=$2 executable=$3
    shift 3
    reported+=("$name")
    mkdir -p "$root/spool"
    chown "$user:$user" "$root/spool"
    chmod 0700 "$root/spool"
    trial "$name" "${job[@]}" PIPEFOLD_SPOOL=/spool chroot --userspec="$user:$user" "$root" "$executable" "${flags[@]}" --reference-id "$name" -- "$@"
}
user=0
if [ "$as_root" = 0 ]; then
    skip roots "this is not root"
else
    # The suite and the archive of this machine, if it is Debian itself.
    # shellcheck source=/dev/null
    suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
    sources=$(compgen -G '/etc/apt/sources.list.d/debian.sources' || compgen -G /etc/apt/sources.list || true)
    if has mmdebstrap && mmdebstrap --quiet --variant=essential "$suite" "$work/debian" ${sources:+"$sources"} >"$work/log" 2>&1; then
        cp "$dist"/pipefold_"$version"-1_"$(dpkg --print-architecture)".deb "$work/debian/pipefold.deb"
        trial "deb: dpkg --install" chroot "$work/debian" dpkg --install /pipefold.deb
        in_root deb "$work/debian" /usr/bin/pipefold true
        trial "deb: dpkg --verify" sh -c "test -z \"\$(chroot '$work/debian' dpkg --verify pipefold)\""
    else
        skip deb "mmdebstrap is missing, or there is no archive of Debian's"
    fi
    if has rpm; then
        mkdir -p "$work/fedora"
        trial "rpm: install" rpm --root "$work/fedora" --install --nodeps --ignorearch "$dist/pipefold-$version-1.$here.rpm"
        in_root rpm "$work/fedora" /usr/bin/pipefold /usr/bin/pipefold -V
    else
        skip rpm "rpm is missing"
    fi
    if has busybox; then
        # As Alpine: busybox for everything, no glibc.
        mkdir -p "$work/alpine/bin" "$work/alpine/tmp" "$work/alpine/dist"
        cp "$(command -v busybox)" "$work/alpine/bin/busybox"
        chroot "$work/alpine" /bin/busybox --install -s /bin
        mkdir "$work/alpine/dev"
        mknod -m 0666 "$work/alpine/dev/null" c 1 3
        cp "$dist/SHA256SUMS" "$dist/install.sh" "$(archive "$here")" "$work/alpine/dist/"
        trial "installer under busybox" chroot "$work/alpine" /bin/sh /dist/install.sh --from /dist --prefix /usr
        in_root busybox "$work/alpine" /usr/bin/pipefold true
    else
        skip busybox "busybox is missing"
    fi

    # The image, as a runtime unpacks it: its layer, its user, a read-only root.
    root=$work/scratch
    mkdir -p "$root" "$work/oci"
    tar -xf "$dist/pipefold-$version-oci.tar" -C "$work/oci"
    trial "image: unpacked" python3 - "$work/oci" "$root" "$here" <<'PYTHON'
import json, sys, tarfile
oci, root, processor = sys.argv[1:]
blob = lambda described: f"{oci}/blobs/{described['digest'].replace(':', '/')}"
index = json.load(open(blob(json.load(open(f"{oci}/index.json"))["manifests"][0])))
wanted = {"x86_64": "amd64", "aarch64": "arm64"}[processor]
[manifest] = [json.load(open(blob(each))) for each in index["manifests"] if each["platform"]["architecture"] == wanted]
for layer in manifest["layers"]:
    tarfile.open(blob(layer)).extractall(root, numeric_owner=True)
assert json.load(open(blob(manifest["config"])))["config"]["User"] == "65532:65532"
PYTHON
    user=65532
    in_root scratch "$root" /usr/bin/pipefold /usr/bin/pipefold -V

    # Nothing can be written but the spool; there is no HOME, no /tmp, no /proc.
    rm -rf "${root:?}/tmp" "${root:?}/home"
    mkdir -p "$work/spool-alone"
    chown 65532:65532 "$work/spool-alone"
    reported+=(read-only)
    # shellcheck disable=SC2016 # the inner shell expands
    trial read-only "${job[@]}" PIPEFOLD_SPOOL=/spool unshare --mount sh -euc '
        root=$1 spool=$2 && shift 2
        mount --bind "$root" "$root"
        mount --bind "$spool" "$root/spool"
        mount -o remount,bind,ro "$root"
        exec chroot --userspec=65532:65532 "$root" /usr/bin/pipefold "$@"' \
        sh "$root" "$work/spool-alone" "${flags[@]}" --reference-id read-only -- /usr/bin/pipefold -V
fi

# Damage.
copy=$work/damaged
mkdir "$copy"
# The code of the rules begins a page after its mark, behind which is the digest of their component.
trial "a flipped byte of the code is made" python3 - "$pipefold" "$copy/pipefold" "$dist/pipefold-$version.component.wasm" <<'PYTHON'
import hashlib, os, sys
data = bytearray(open(sys.argv[1], "rb").read())
rules = hashlib.sha256(open(sys.argv[3], "rb").read()).hexdigest().encode()
data[data.index(b"pipefold compiled code slot 2\r\n\xf7" + rules) + 4096 + 100] ^= 1
open(sys.argv[2], "wb").write(data)
os.chmod(sys.argv[2], 0o755)
PYTHON
reported+=(damaged-code)
# shellcheck disable=SC2016 # the inner shell expands
trial "damaged code is not used" "${job[@]}" HOME="$copy" PIPEFOLD_SPOOL="$copy/spool" sh -c '
    "$@" && ls "$HOME/.cache/pipefold" | grep cwasm' \
    sh "$copy/pipefold" "${flags[@]}" --reference-id damaged-code -- sleep 5
cp "$dist/SHA256SUMS" "$(archive "$here")" "$copy/"
printf 'x' | dd of="$copy/$(basename "$(archive "$here")")" bs=1 seek=1000 conv=notrunc status=none
refused "installer: a flipped byte" scripts/install.sh --from "$copy" --prefix "$copy/prefix"
trial "installer: nothing is left" test ! -e "$copy/prefix"
if [ -f "$dist/SHA256SUMS.minisig" ] && has minisign; then
    key=$(sed -n 's/^public_key=//p' "$dist/install.sh")
    trial "signature" minisign -Vqm "$dist/SHA256SUMS" -P "$key"
    sed 's/a/b/' "$dist/SHA256SUMS" >"$copy/SHA256SUMS"
    cp "$dist/SHA256SUMS.minisig" "$copy/"
    refused "signature: a changed list" minisign -Vqm "$copy/SHA256SUMS" -P "$key"
    refused "installer: a changed list" scripts/install.sh --from "$copy" --prefix "$copy/prefix" --key "$key"
else
    skip signature "dist/ is not signed, or minisign is missing"
fi
trial "digests" sh -c "cd '$dist' && sha256sum --check --quiet --strict SHA256SUMS"

# Each run is in DX.
exec 3>&-
cat <&4 >"$work/records"
exec 4<&-
wait "$server" || true
server=
for name in "${reported[@]}"; do
    trial "DX has $name" grep -q "\"reference_id\": \"$name\"" "$work/records"
done

printf '\ntotal: %d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" = 0 ]
