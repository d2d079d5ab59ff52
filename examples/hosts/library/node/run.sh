#!/usr/bin/env bash
# Installs koffi and runs the JavaScript host: run.sh LIBRARY NOTIFICATIONS SPOOL
source "$(dirname "${BASH_SOURCE[0]}")/../../../tools.sh"

here=$root/examples/hosts/library/node
npm_packages library-node "$here/package.json"
# Beside the packages, since a module is looked for from where the importing file is.
cp "$here"/*.mjs "$installed/library-node"
LIBPIPEFOLD=$1 node "$installed/library-node/host.mjs" "$2" "$3"
