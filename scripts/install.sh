#!/bin/sh
# Installs pipefold on Linux, x86_64 or aarch64, from a release:
#
#   curl -fsSL https://github.com/pipefold/pipefold/releases/latest/download/install.sh | sh
#   curl -fsSL … | sh -s -- --version 0.1.0 --prefix "$HOME/.local"
#
# The package must have the digest that the release's SHA256SUMS names. Where minisign is installed, the signature of SHA256SUMS is checked as
# well. A file that differs is refused, and nothing is installed then.
set -eu

repository=https://github.com/pipefold/pipefold
# The key of the release, which `make dist` fills in.
public_key=

usage() {
    cat <<USAGE
Installs pipefold: bin/pipefold, manual pages and completions.

  --prefix DIR    directory that gets bin and share [/usr/local for root, else ~/.local]
  --version X     the version [the newest]
  --from PLACE    URL or directory that has the release's files [the project's releases]
  --key KEY       minisign public key; a release without a valid signature is then refused
  --runner        the small build for runners, which reports and has no collector, GoCD reader or compiler
USAGE
}

die() {
    printf 'install: %s\n' "$@" >&2
    exit 1
}

is_there() { command -v "$1" >/dev/null 2>&1; }

# fetch NAME: a file of the release, into the work directory.
fetch() {
    case $from in
    http://* | https://*)
        if is_there curl; then
            curl --fail --silent --show-error --location --retry 3 --output "$work/$1" "$from/$1"
        elif is_there wget; then
            wget -q -O "$work/$1" "$from/$1"
        else
            die "curl and wget are both missing: install one of them"
        fi
        ;;
    *) cp "${from#file://}/$1" "$work/$1" ;;
    esac || die "cannot fetch $from/$1"
}

# digest FILE: its sha256 digest.
digest() {
    if is_there sha256sum; then
        sha256sum <"$1"
    elif is_there shasum; then
        shasum -a 256 <"$1"
    elif is_there openssl; then
        openssl dgst -sha256 -r <"$1"
    fi | cut -c 1-64
}

check_signature() {
    if [ -z "$public_key" ]; then
        return
    elif is_there minisign; then
        fetch SHA256SUMS.minisig
        minisign -Vqm "$work/SHA256SUMS" -P "$public_key" >&2 ||
            die "the signature of SHA256SUMS is wrong; nothing was installed"
    elif [ -n "$key_was_given" ]; then
        die "--key needs minisign, which is missing: install it"
    else
        echo "install: minisign is missing, so the signature was not checked; the digest is" >&2
    fi
}

main() {
    prefix='' version='' from='' flavour='' key_was_given=''
    while [ $# -gt 0 ]; do
        case $1 in
        --prefix | --version | --from | --key)
            [ $# -gt 1 ] || die "$1 needs a value"
            case $1 in
            --prefix) prefix=$2 ;;
            --version) version=${2#v} ;;
            --from) from=${2%/} ;;
            --key) public_key=$2 key_was_given=1 ;;
            esac
            shift
            ;;
        --runner) flavour=-runner ;;
        --help | -h) usage && exit ;;
        *) usage >&2 && die "unknown option $1" ;;
        esac
        shift
    done

    [ "$(uname -s)" = Linux ] || die "there are packages for Linux only; elsewhere build from source: $repository"
    case $(uname -m) in
    x86_64 | amd64) processor=x86_64 ;;
    aarch64 | arm64) processor=aarch64 ;;
    *) die "there are packages for x86_64 and aarch64, and this is $(uname -m); build from source: $repository" ;;
    esac
    if [ -z "$prefix" ]; then
        prefix=/usr/local
        if [ "$(id -u)" != 0 ]; then
            [ -n "${HOME:-}" ] || die "there is no HOME: give --prefix"
            prefix=$HOME/.local
        fi
    fi
    if [ -z "$from" ]; then
        from=$repository/releases/latest/download
        [ -z "$version" ] || from=$repository/releases/download/v$version
    fi

    is_there sha256sum || is_there shasum || is_there openssl ||
        die "nothing here computes a sha256 digest: install coreutils or openssl"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM
    fetch SHA256SUMS
    check_signature
    target=$processor-unknown-linux-musl
    line=$(grep -E "^[0-9a-f]{64}  pipefold$flavour-${version:-[0-9][^ ]*}-$target\.tar\.gz\$" "$work/SHA256SUMS") ||
        die "$from has no pipefold$flavour${version:+ $version} for $target"
    package=${line#*  }
    case $package in *[!A-Za-z0-9._-]*) die "SHA256SUMS names no single package for $target" ;; esac
    fetch "$package"
    [ "$(digest "$work/$package")" = "${line%%  *}" ] ||
        die "$package does not have the digest that SHA256SUMS names; nothing was installed"

    tar -xzf "$work/$package" -C "$work"
    unpacked=$work/${package%.tar.gz}
    mkdir -p "$prefix/bin" || die "cannot write to $prefix: give another --prefix, or run this as root"
    # A process that runs keeps its file.
    cp "$unpacked/bin/pipefold" "$prefix/bin/.pipefold.$$"
    chmod 0755 "$prefix/bin/.pipefold.$$"
    "$prefix/bin/.pipefold.$$" -V >"$work/version" || {
        rm -f "$prefix/bin/.pipefold.$$"
        die "the executable does not run here"
    }
    mv -f "$prefix/bin/.pipefold.$$" "$prefix/bin/pipefold"
    if [ -d "$unpacked/share" ]; then
        mkdir -p "$prefix/share"
        cp -R "$unpacked/share/." "$prefix/share/"
    fi
    echo "install: $(cat "$work/version") is $prefix/bin/pipefold"
    case :$PATH: in *":$prefix/bin:"*) ;; *) echo "install: $prefix/bin is not in PATH" >&2 ;; esac
}

# Last, so that a download that was cut off runs nothing.
main "$@"
