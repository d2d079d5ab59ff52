#!/usr/bin/env bash
# Installs componentize-qjs and builds the JavaScript source: build.sh COMPONENT
source "$(dirname "${BASH_SOURCE[0]}")/../../tools.sh"

here=$root/examples/sources/javascript
npm_packages javascript-source "$here/package.json"
quietly "$installed/javascript-source.log" "$installed/javascript-source/node_modules/.bin/componentize-qjs" \
    --wit "$root/wit" --world source --js "$here/kiln.js" --sync --stub-wasi --output "$1"
