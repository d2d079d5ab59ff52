#!/usr/bin/env bash
# Pulls a component out of a registry: pull.sh IMAGE:TAG FILE[@sha256:HEX] [KEY]. FILE is replaced if the component has the digest, and with a
# minisign public key also the signature IMAGE:TAG.minisig by it, which becomes FILE.minisig. Prints FILE with its digest, as `[[policy]]` and
# --policy take it. It needs skopeo and jq, and with a key also pipefold.
set -euo pipefail

[ $# = 2 ] || [ $# = 3 ] || { printf 'usage: pull.sh IMAGE:TAG FILE[@sha256:HEX] [KEY]\n' >&2 && exit 2; }
image=$1 file=${2%@sha256:*} pin=${2#"${2%@sha256:*}"} key=${3:-}
# Beside the file, so that it is replaced at once.
work=$(mktemp -d "$(dirname "$file")/.pull.XXXXXX")
trap 'rm -rf "$work"' EXIT

# layer IMAGE:TAG TYPES TO: the only layer of an artifact whose type fits.
layer() {
    skopeo copy --quiet --preserve-digests --src-tls-verify="${TLS_VERIFY:-true}" "docker://$1" "dir:$work/artifact"
    local digest
    digest=$(jq -er --arg types "$2" '[.layers[] | select(.mediaType | test($types))] | if length == 1 then .[0].digest else empty end' \
        "$work/artifact/manifest.json") || { printf 'pull.sh: %s has no single layer of WebAssembly\n' "$1" >&2 && exit 1; }
    mv "$work/artifact/${digest#sha256:}" "$3" && rm -r "$work/artifact"
}

# application/wasm, and the types of earlier tools: application/vnd.wasm.content.layer.v1+wasm, application/vnd.module.wasm.content.layer.v1+wasm.
layer "$image" '^application/(wasm|vnd\.([a-z.]+\.)?wasm\.content\.layer\.v1\+wasm)$' "$work/component"
digest=$(sha256sum <"$work/component")
if [ -n "$pin" ] && [ "$pin" != "@sha256:${digest%% *}" ]; then
    printf 'pull.sh: %s has the sha256 %s, and %s is pinned; the old file stays\n' "$image" "${digest%% *}" "${pin#@sha256:}" >&2
    exit 1
fi
if [ -n "$key" ]; then
    layer "$image.minisig" . "$work/component.minisig"
    pipefold policy verify "$work/component" --key "$key" >/dev/null
    mv "$work/component.minisig" "$file.minisig"
fi
mv "$work/component" "$file"
printf '%s@sha256:%s\n' "$file" "${digest%% *}"
