#!/usr/bin/env bash
# certificates.sh DIRECTORY NAME...: an authority of its own, a certificate for these host names, and a token for the queue, for trying the
# fleet in containers. It replaces nothing that is there. Between machines that matter, take certificates from your own authority.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,3s/^# //p' "$0" >&2 && exit 2; }
command -v openssl >/dev/null || { echo "certificates: openssl is not installed" >&2 && exit 1; }
to=$1
shift
mkdir -p "$to"
cd "$to"
umask 077
if [ ! -e ca.pem ]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj "/CN=fleet example authority" \
        -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign" -keyout ca.key -out ca.pem 2>/dev/null
fi
if [ ! -e nats.pem ]; then
    names=$(printf ',DNS:%s' "$@")
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout nats.key -out nats.csr 2>/dev/null
    # Nodes call each other too: a certificate for both sides.
    printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "${names#,}" >nats.ext
    openssl x509 -req -in nats.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 365 -extfile nats.ext -out nats.pem 2>/dev/null
    rm -f nats.csr nats.ext
fi
# Begins with a letter: NATS reads a value from its environment as a number if it looks like one.
[ -e queue-token ] || printf 'q%s' "$(openssl rand -hex 32)" >queue-token
# Containers read them as users of their own; the authority's key stays with the user of this script.
chmod 0755 .
chmod 0644 ca.pem nats.pem nats.key queue-token
ls
