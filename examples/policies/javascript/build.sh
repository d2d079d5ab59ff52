#!/usr/bin/env bash
# Installs componentize-qjs and builds the JavaScript policy: build.sh COMPONENT
source "$(dirname "${BASH_SOURCE[0]}")/../../tools.sh"

here=$root/examples/policies/javascript
npm_packages javascript-policy "$here/package.json"
quietly "$installed/javascript-policy.log" "$installed/javascript-policy/node_modules/.bin/componentize-qjs" \
    --wit "$root/wit" --world policy --js "$here/rename_pipelines.js" --sync --stub-wasi --output "$1"
