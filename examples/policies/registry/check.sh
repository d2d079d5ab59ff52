#!/usr/bin/env bash
# Follows push.sh and pull.sh with a registry on this machine, for each layout of an artifact, and then the steps of ../image/Containerfile in a
# directory instead of an image. It needs `pipefold` in PATH, Debian's docker-registry, skopeo, jq and curl.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

for tool in docker-registry skopeo jq curl pipefold; do
    command -v "$tool" >/dev/null || { printf '%-20s skipped: %s is not installed\n' registry "$tool" && exit 77; }
done
for name in $(compgen -e PIPEFOLD_) DX_API_URL DX_API_TOKEN; do unset "$name"; done
export TLS_VERIFY=false no_proxy=127.0.0.1 NO_PROXY=127.0.0.1

signed=$PWD/../../../tests/policies/signed
work=$(mktemp -d) registry=''
trap '[ -z "$registry" ] || { kill "$registry" && wait "$registry"; } 2>/dev/null || true; rm -rf "$work"' EXIT
fail() { printf '%-20s FAILED: %s\n' registry "$*" && exit 1; }

cat >"$work/registry.yml" <<YAML
version: 0.1
log: { level: info, accesslog: { disabled: true } }
storage: { filesystem: { rootdirectory: $work/registry } }
http: { addr: "127.0.0.1:0" }
YAML
docker-registry serve "$work/registry.yml" >"$work/registry.log" 2>&1 &
registry=$!
for _ in $(seq 100); do
    host=$(grep -om1 '127\.0\.0\.1:[0-9]*' "$work/registry.log") && break
    sleep 0.1
done
[ -n "${host:-}" ] || fail "docker-registry does not start: $(tail -n 3 "$work/registry.log")"

cp "$signed"/{emails.wasm,emails.wasm.minisig,branches.wasm,key.pub,other.pub} "$work"
cd "$work"
mkdir pulled && cp emails.wasm redact.wasm && cp emails.wasm.minisig redact.wasm.minisig
pin=@sha256:$(sha256sum <redact.wasm | cut -d' ' -f1)
push() { "$OLDPWD/push.sh" "$@"; }
pull() { "$OLDPWD/pull.sh" "$@"; }
# pulls NAME: the component comes back as it was, by its tag and by its digest alone.
pulls() {
    rm -f pulled/*
    [ "$(pull "$host/acme/$1:1.0.0" "pulled/redact.wasm$pin" key.pub)" = "pulled/redact.wasm$pin" ] || fail "$1 is not pulled"
    curl --silent --show-error --fail --output pulled/by-digest.wasm "http://$host/v2/acme/$1/blobs/sha256:${pin#@sha256:}"
    cmp redact.wasm pulled/redact.wasm && cmp redact.wasm pulled/by-digest.wasm && cmp redact.wasm.minisig pulled/redact.wasm.minisig
}

# As wkg writes it; with the empty configuration of OCI's guidelines, as oras does; and as tools before these did.
[ "$(push "$host/acme/wkg:1.0.0" redact.wasm)" = "redact.wasm$pin" ] || fail "the digest of push.sh"
CONFIG='{}' CONFIG_TYPE=application/vnd.oci.empty.v1+json push "$host/acme/oras:1.0.0" redact.wasm >/dev/null
for type in vnd.wasm vnd.module.wasm; do
    CONFIG='{}' CONFIG_TYPE=application/$type.config.v1+json LAYER_TYPE=application/$type.content.layer.v1+wasm \
        push "$host/acme/$type:1.0.0" redact.wasm >/dev/null
done
for layout in wkg oras vnd.wasm vnd.module.wasm; do pulls "$layout"; done

# Someone who may push, and has no key, moves the tag.
cp branches.wasm evil.wasm && cp emails.wasm.minisig evil.wasm.minisig
push "$host/acme/wkg:1.0.0" evil.wasm >/dev/null
refused() {
    local status=0
    pull "$@" >said 2>&1 || status=$?
    [ "$status" = 1 ] || fail "exit code $status of pull.sh $*: $(cat said)"
    cmp -s redact.wasm pulled/redact.wasm && cmp -s redact.wasm.minisig pulled/redact.wasm.minisig || fail "pull.sh $* replaced the file"
}
refused "$host/acme/wkg:1.0.0" "pulled/redact.wasm$pin" && grep -q 'is pinned' said || fail "$(cat said)"
refused "$host/acme/wkg:1.0.0" pulled/redact.wasm key.pub && grep -q 'not what key' said || fail "$(cat said)"
refused "$host/acme/oras:1.0.0" pulled/redact.wasm other.pub && grep -q 'signed by key' said || fail "$(cat said)"
refused "$host/acme/absent:1.0.0" pulled/redact.wasm
printf '%-20s %s\n' registry "four layouts pushed and pulled, and a moved tag refused by pin and by key"

# The image's steps, in a directory with the command and its libraries. Its file system is then read-only but for the spool.
image=$OLDPWD/../image root=$work/root
enter() { unshare --user --map-root-user --mount "$@"; }
enter true 2>/dev/null || { printf '%-20s skipped: no user namespaces here\n' image && exit 0; }
mkdir -p "$root"/{etc,tmp,spool,proc,usr/local/bin,usr/local/lib/pipefold,bin}
cp "$(command -v pipefold)" "$root/usr/local/bin/pipefold"
libraries() { ldd "$@" 2>/dev/null | grep -o '/[^ ]*\.so[^ ]*' | sort -u; }
programs=("$(command -v sh)" "$(command -v sed)" "$(command -v env)")
for file in $(libraries "$(command -v pipefold)" "${programs[@]}"); do install -D "$file" "$root$file"; done
cp "${programs[@]}" "$root/bin"
cp "$image/pipefold.toml" "$root/etc/pipefold.toml"
cp redact.wasm redact.wasm.minisig "$root/usr/local/lib/pipefold" && cp key.pub "$root/usr/local/lib/pipefold/minisign.pub"
steps=$(sed -n '/^RUN /,$p' "$image/Containerfile" | sed 's/^RUN //')
cache=$(sed -n 's/^ENV PIPEFOLD_POLICY_CACHE=//p' "$image/Containerfile")
inside=(env -i PATH=/usr/local/bin:/bin "PIPEFOLD_POLICY_CACHE=$cache")
enter sh -c 'mount --rbind /proc "$0/proc" && exec chroot "$@"' "$root" "$root" "${inside[@]}" "PIN=$pin" sh -c "$steps" >built 2>&1 ||
    fail "$(cat built)"
grep -q "redact.wasm$pin\"" "$root/etc/pipefold.toml" || fail "the file is not pinned: $(cat "$root/etc/pipefold.toml")"
before=$(cd "$root" && find . -path ./proc -prune -o -type f -print0 | sort -z | xargs -0 sha256sum)
# read_only COMMAND...: with everything but the spool read-only. Lists the files of the spool at the end.
read_only() {
    enter sh -c 'mount --rbind "$0" "$0" && mount -o remount,ro,bind "$0" && mount --rbind /proc "$0/proc" && mount -t tmpfs tmpfs "$0/spool" &&
        chroot "$@" && cd "$0/spool" && find . -type f' "$root" "$root" "${inside[@]}" PIPEFOLD_SPOOL=/spool/pipefold \
        DX_API_URL=http://127.0.0.1:9 DX_API_TOKEN=token "$@"
}
start=(start --pipeline-name build --pipeline-source Tekton --reference-id 1 --email mona@example.com)
read_only pipefold --dry-run "${start[@]}" >said 2>&1 || fail "$(cat said)"
grep -q '"pipeline_name": *"build"' said && ! grep -q mona said || fail "the policy is not used: $(cat said)"
# DX does not answer, so it is recorded.
read_only pipefold "${start[@]}" >said 2>&1 || fail "$(cat said)"
grep -q '^\./pipefold/' said && ! grep '^\./' said | grep -qv '^\./pipefold/' || fail "it wrote elsewhere: $(cat said)"
compiled() { read_only pipefold component compile /usr/local/lib/pipefold/redact.wasm --json "$@" 2>&1; }
compiled | grep -q '"compiled":false' || fail "the code is not found in the image: $(compiled)"
! compiled --policy-cache /tmp >said || fail "code was stored in a read-only file system: $(cat said)"
[ "$before" = "$(cd "$root" && find . -path ./proc -prune -o -type f -print0 | sort -z | xargs -0 sha256sum)" ] || fail "the image was changed"
printf '%-20s %s\n' image "built as the Containerfile says; the first use compiles nothing, and writes to the spool alone"
