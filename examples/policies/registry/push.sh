#!/usr/bin/env bash
# Publishes a component to a registry: push.sh IMAGE:TAG COMPONENT. It becomes an artifact of one layer, as wkg and the runtimes of WebAssembly
# read it; its signature COMPONENT.minisig, where there is one, another one under IMAGE:TAG.minisig. It needs pipefold, skopeo and jq, and
# `skopeo login` where the registry wants that. TLS_VERIFY=false is for a registry on this machine.
set -euo pipefail

[ $# = 2 ] || { printf 'usage: push.sh IMAGE:TAG COMPONENT\n' >&2 && exit 2; }
image=$1 component=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# blob FILE TYPE: puts a file into the artifact, and prints its descriptor.
blob() {
    local digest
    digest=$(sha256sum <"$1") && digest=${digest%% *}
    cp "$1" "$work/artifact/$digest"
    jq -cn --arg type "$2" --arg digest "sha256:$digest" --argjson size "$(stat -c %s "$1")" '{mediaType: $type, digest: $digest, size: $size}'
}

# push IMAGE:TAG FILE TYPE CONFIG CONFIG_TYPE: an artifact with this file for its only layer, as a directory of skopeo's.
push() {
    rm -rf "$work/artifact" && mkdir "$work/artifact"
    printf 'Directory Transport Version: 1.1\n' >"$work/artifact/version"
    printf %s "$4" >"$work/config"
    jq -cn --argjson config "$(blob "$work/config" "$5")" --argjson layer "$(blob "$2" "$3")" --arg title "$(basename "$2")" '{
        schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json", artifactType: $layer.mediaType, config: $config,
        layers: [$layer + {annotations: {"org.opencontainers.image.title": $title}}]
    }' >"$work/artifact/manifest.json"
    skopeo copy --quiet --preserve-digests --dest-tls-verify="${TLS_VERIFY:-true}" "dir:$work/artifact" "docker://$1"
}

if [ -f "$component.minisig" ]; then
    push "$image.minisig" "$component.minisig" text/plain '{}' application/vnd.oci.empty.v1+json
fi
digest=$(sha256sum <"$component")
config=$(pipefold component inspect "$component" --json |
    jq -c --arg created "$(date --utc --reference "$component" +%Y-%m-%dT%H:%M:%SZ)" --arg digest "sha256:${digest%% *}" '{
        created: $created, architecture: "wasm", os: "wasip2", layerDigests: [$digest],
        component: {exports: [.exports[].name], imports: [.imports[].name]}
    }')
push "$image" "$component" "${LAYER_TYPE:-application/wasm}" "${CONFIG:-$config}" "${CONFIG_TYPE:-application/vnd.wasm.config.v0+json}"
printf '%s@sha256:%s\n' "$(basename "$component")" "${digest%% *}"
