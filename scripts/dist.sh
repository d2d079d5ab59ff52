#!/usr/bin/env bash
# Builds the static executables of a release and packages them into dist/: tar.gz, deb, rpm, Python wheels, npm packages, an OCI image, the C library,
# the rules as component and as core module, a list of parts (CycloneDX), SHA256SUMS and, with a key, its minisign signature.
#
#   TARGETS="x86_64 aarch64"       processors to build for
#   SOURCE_DATE_EPOCH              time of every file [the commit's]
#   PIPEFOLD_COMMIT                commit that `--version` shows [the one checked out]
#   PIPEFOLD_MINISIGN_KEY=FILE     secret key without a password; without it nothing is signed
#   WHOLE=1                        fail if anything is left out, the signature too
#   CC_x86_64_unknown_linux_musl   a C compiler for the target, and one for aarch64 [zig, from PyPI]
#
# The same sources, tools and SOURCE_DATE_EPOCH give the same bytes. Builds go into target-dist/, apart from those of `make test`. What cannot be
# made here is left out, with a line at the end that says why.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The versions that this script was tried with.
zig=0.17.1 certifi=2026.7.22

targets=${TARGETS:-x86_64 aarch64}
root=$PWD
target_dir=$root/target-dist
tools=$target_dir/tools
out=$root/dist
registry=${CARGO_HOME:-$HOME/.cargo}/registry/src
here=$(uname -m)
missing=()

die() {
    printf 'dist: %s\n' "$@" >&2
    exit 1
}
say() { printf '\n== %s\n' "$*"; }
upper() { tr '[:lower:]-' '[:upper:]_' <<<"$1"; }

command -v python3 >/dev/null || die "\`python3\` is missing; it writes the packages. Debian: apt-get install python3 python3-venv"
if [ -n "${PIPEFOLD_MINISIGN_KEY:-}" ] && ! command -v minisign >/dev/null; then
    die "minisign is missing, and PIPEFOLD_MINISIGN_KEY asks for a signature. Debian: apt-get install minisign"
fi
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null) || die "this is no clone of the repository: set SOURCE_DATE_EPOCH and PIPEFOLD_COMMIT"
fi
PIPEFOLD_COMMIT=${PIPEFOLD_COMMIT:-$(git rev-parse --short=12 HEAD)$([ -z "$(git status --porcelain)" ] || echo -dirty)}
export SOURCE_DATE_EPOCH PIPEFOLD_COMMIT CARGO_INCREMENTAL=0 LC_ALL=C

say "Tools, in target-dist/tools"
mkdir -p "$tools/bin"
[ -x "$tools/python/bin/pip" ] || python3 -m venv "$tools/python" || die "python3 makes no environment. Debian: apt-get install python3-venv"
"$tools/python/bin/pip" install --quiet --disable-pip-version-check "ziglang==$zig" "certifi==$certifi" ||
    die "pip cannot install ziglang $zig (the C compiler for both targets) and certifi $certifi (the image's certificates)"
# zig names targets without a vendor, and the crates that compile C do not know that.
cat >"$tools/bin/zig-cc" <<SH
#!/bin/sh
for word; do
    shift
    case \$word in
    --target=*) word=\$(echo "\$word" | sed 's/-unknown//') ;;
    esac
    set -- "\$@" "\$word"
done
exec "$tools/python/bin/python" -m ziglang cc "\$@"
SH
printf '#!/bin/sh\nexec "%s" -m ziglang ar "$@"\n' "$tools/python/bin/python" >"$tools/bin/zig-ar"
chmod +x "$tools/bin/zig-cc" "$tools/bin/zig-ar"

# build PROCESSOR NAME CARGO-OPTION...: an executable for a processor, as target-dist/built/NAME-PROCESSOR.
build() {
    local processor=$1 name=$2 target=$1-unknown-linux-musl flags
    shift 2
    say "Building $name for $target"
    # Panic messages and assertions carry source paths: without these, bytes would differ with the directory. A relocation for each pointer of
    # constant data takes 24 bytes, and packed ones a few bits.
    flags=(-Clink-arg=--pack-dyn-relocs=relr "--remap-path-prefix=$root=/pipefold" "--remap-path-prefix=$registry=/registry")
    # Any processor of its kind, whatever a user's configuration says.
    if [ "$processor" = x86_64 ]; then flags+=(-Ctarget-cpu=x86-64); fi
    local c=${target//-/_}
    local c_flags="-ffile-prefix-map=$root=/pipefold -ffile-prefix-map=$registry=/registry"
    # The allocator reserves 32 MiB of addresses at a time, its least, and not 1 GiB: a container's `ulimit -v` may be small.
    c_flags+=" -DMI_DEFAULT_ARENA_RESERVE=32768L"
    # Without extensions that the collector's SQL does not use, and without sums of the memory in use, which cost a global lock at each piece of it.
    local sqlite="-USQLITE_ENABLE_FTS3 -USQLITE_ENABLE_FTS3_PARENTHESIS -USQLITE_ENABLE_FTS5 -USQLITE_ENABLE_RTREE -USQLITE_ENABLE_DBSTAT_VTAB"
    sqlite+=" -USQLITE_ENABLE_LOAD_EXTENSION -DSQLITE_OMIT_LOAD_EXTENSION -USQLITE_ENABLE_MEMORY_MANAGEMENT -DSQLITE_DEFAULT_MEMSTATUS=0"
    # rustc does not have this linker strip symbols. It is the linker of rustc's own toolchain, with its own C library: no cross compiler is needed but for C.
    env "CARGO_TARGET_$(upper "$target")_LINKER=rust-lld" \
        "CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f' && echo "${flags[*]}")" \
        "CC_$c=$(cc="CC_$c" && echo "${!cc:-$tools/bin/zig-cc}")" "AR_$c=$(ar="AR_$c" && echo "${!ar:-$tools/bin/zig-ar}")" "CFLAGS_$c=$c_flags" "LIBSQLITE3_FLAGS=$sqlite" \
        cargo rustc --locked --profile dist --target "$target" --target-dir "$target_dir" -p pipefold-cli --bin pipefold "$@" \
        -- -Clink-arg=--strip-all
    mkdir -p "$target_dir/built"
    cp "$target_dir/$target/dist/pipefold" "$target_dir/built/$name-$processor"
}

# The C library is for programs with glibc, and runs with every version from this one on.
glibc=2.28
cat >"$tools/bin/zig-link" <<SH
#!/bin/sh
for word; do
    shift
    case \$word in
    # zig's own unwinder, within the library: no program needs libgcc_s for it.
    -lgcc_s) word=-lunwind ;;
    # Its linker takes the target from \`-target\`.
    -m64 | -lgcc | -lutil | -lrt) continue ;;
    esac
    set -- "\$@" "\$word"
done
exec "$tools/python/bin/python" -m ziglang cc -target "\$PIPEFOLD_ZIG_TARGET" "\$@"
SH
chmod +x "$tools/bin/zig-link"

# library PROCESSOR: the C library for a processor, as target-dist/built/library-PROCESSOR/libpipefold.{so,a}.
library() {
    local processor=$1 target=$1-unknown-linux-gnu flags
    say "Building libpipefold for $target, glibc $glibc"
    # A linker in the environment would be that of this machine's build scripts too, and all that they precede would be compiled again. Its path is
    # a relative one, as cargo's names depend on it.
    flags=("-Clinker=target-dist/tools/bin/zig-link" "--remap-path-prefix=$root=/pipefold" "--remap-path-prefix=$registry=/registry")
    if [ "$processor" = x86_64 ]; then flags+=(-Ctarget-cpu=x86-64); fi
    local c=${target//-/_}
    env "PIPEFOLD_ZIG_TARGET=$processor-linux-gnu.$glibc" \
        "CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f' && echo "${flags[*]}")" \
        "CC_$c=$tools/bin/zig-cc" "AR_$c=$tools/bin/zig-ar" "CFLAGS_$c=-ffile-prefix-map=$root=/pipefold -ffile-prefix-map=$registry=/registry" \
        cargo rustc --locked --profile dist --target "$target" --target-dir "$target_dir" -p pipefold-c --lib \
        --crate-type cdylib,staticlib
    mkdir -p "$target_dir/built/library-$processor"
    cp "$target_dir/$target/dist/libpipefold_c.so" "$target_dir/built/library-$processor/libpipefold.so"
    cp "$target_dir/$target/dist/libpipefold_c.a" "$target_dir/built/library-$processor/libpipefold.a"
}

# has_target TARGET: its standard library is installed, or rustup installs it.
has_target() {
    local libraries
    libraries=$(rustc --print target-libdir --target "$1" 2>/dev/null) && compgen -G "$libraries/libcore-*" >/dev/null && return
    command -v rustup >/dev/null && rustup target add "$1" && return
    missing+=("$1: rustc has no standard library for it, and rustup did not add it")
    return 1
}

has_target "$here-unknown-linux-musl" || die "the tools of the build run on this machine, and need its target: ${missing[*]}"
everything=(--features fleet)
runner=(--no-default-features)
packed=()
libraries=()
compiler=
for processor in "$here" ${targets//$here/}; do
    has_target "$processor-unknown-linux-musl" || continue
    build "$processor" full "${everything[@]}"
    build "$processor" runner "${runner[@]}"
    # The compiler of another processor's code is part of no package, but of the tool that prepares them.
    if [ "$processor" = "$here" ]; then
        compiler=$target_dir/built/full-$here
    else
        build "$here" cross "${everything[@]}" --features cross
        compiler=$target_dir/built/cross-$here
    fi
    for name in full runner; do
        file=$target_dir/built/$name-$processor
        "$compiler" component embed "$file" "$file"
    done
    if [[ " $targets " == *" $processor "* ]] && has_target "$processor-unknown-linux-gnu"; then
        library "$processor"
        for file in "$target_dir/built/library-$processor"/libpipefold.{so,a}; do
            "$compiler" component embed "$file" "$file"
        done
        libraries+=(--library "$processor=$target_dir/built/library-$processor")
    fi
    [[ " $targets " != *" $processor "* ]] || packed+=("$processor")
done
[ ${#packed[@]} -gt 0 ] || die "no target can be built here: ${missing[*]}"

rm -rf "$out"
mkdir "$out"
version=$("$target_dir/built/full-$here" -V | sed 's/.* //')

parts_of=$(IFS=, && echo "${packed[*]/%/-unknown-linux-musl}")
"$tools/python/bin/python" scripts/dist/parts.py "$parts_of" fleet >"$out/pipefold-$version.cdx.json"

say "Building the core module"
cargo build --locked --target-dir "$target_dir" -p pipefold-core

say "Packages, in dist/"
arguments=(${WHOLE:+--whole} ${libraries[@]+"${libraries[@]}"})
for processor in "${packed[@]}"; do
    arguments+=(--build "$processor-unknown-linux-musl=$target_dir/built/full-$processor")
    arguments+=(--runner "$processor-unknown-linux-musl=$target_dir/built/runner-$processor")
done
certificates=$("$tools/python/bin/python" -m certifi)
"$tools/python/bin/python" scripts/dist/pack.py --out "$out" "${arguments[@]}" --certificates "$certificates" \
    --describe "$target_dir/built/full-$here" --core plugin/core/pipefold-core.wasm
cp scripts/install.sh "$out/install.sh"
if [ -n "${PIPEFOLD_MINISIGN_KEY:-}" ]; then
    minisign -R -f -s "$PIPEFOLD_MINISIGN_KEY" -p "$target_dir/minisign.pub" </dev/null
    sed -i "s|^public_key=$|public_key=$(tail -n 1 "$target_dir/minisign.pub")|" "$out/install.sh"
fi
(cd "$out" && rm SHA256SUMS && sha256sum -- * >"$target_dir/SHA256SUMS" && mv "$target_dir/SHA256SUMS" .)

if [ -z "${PIPEFOLD_MINISIGN_KEY:-}" ]; then
    missing+=("SHA256SUMS.minisig: PIPEFOLD_MINISIGN_KEY names no key")
else
    # The trusted comment would have the time of signing.
    minisign -S -s "$PIPEFOLD_MINISIGN_KEY" -m "$out/SHA256SUMS" -t "pipefold $version" </dev/null
fi

say "dist/"
ls -l "$out"
for line in ${missing[@]+"${missing[@]}"}; do echo "dist: not made: $line" >&2; done
[ -z "${WHOLE:-}" ] || [ ${#missing[@]} = 0 ]
