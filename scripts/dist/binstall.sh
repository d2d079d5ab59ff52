#!/usr/bin/env bash
# Installs the command by `cargo binstall` from the files of a directory, as it would from the release on GitHub: in namespaces of its own, where
# github.com is this machine. It needs root, cargo-binstall, openssl and ip.
#
#   binstall.sh FILES ROOT   the directory of a release, and the directory to install into
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[ -n "${IN_NAMESPACES:-}" ] || IN_NAMESPACES=1 exec unshare --mount --net scripts/dist/binstall.sh "$@"

files=$1 root=$2
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT

ip link set lo up
echo 127.0.0.1 github.com api.github.com >"$work/hosts"
mount --bind "$work/hosts" /etc/hosts
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=github.com -keyout "$work/key" -out "$work/certificate" \
    -config <(printf '%s\n' '[req]' distinguished_name=name '[name]' '[v3]' subjectAltName=DNS:github.com,DNS:api.github.com) -extensions v3 2>/dev/null
mkfifo "$work/from-server"
python3 scripts/dist/release_server.py "$files" "$work/certificate" "$work/key" >"$work/from-server" 2>"$work/requests" &
server=$!
read -r _ <"$work/from-server"

# Only the archive that the crate's own metadata names: another way would compile it, or take it from elsewhere.
CARGO_HOME=$work/cargo timeout 120 cargo-binstall --no-confirm --disable-telemetry --strategies crate-meta-data --root-certificates "$work/certificate" \
    --manifest-path host/cli --root "$root" pipefold-cli
