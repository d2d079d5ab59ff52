#!/usr/bin/env bash
# Installs jco, and runs the JavaScript host with policies in front: policies.sh COMPONENT NOTIFICATIONS POLICY...
source "$(dirname "${BASH_SOURCE[0]}")/../../tools.sh"

here=$root/examples/hosts/javascript
npm_packages javascript-host "$here/package.json"
# Makes a JavaScript module of a component, and prints its path.
module() {
    local module=$installed/javascript-host/chain/$(basename "$1" .wasm)
    quietly "$installed/javascript-host.log" "$installed/javascript-host/node_modules/.bin/jco" transpile "$1" --name plugin \
        --instantiation sync --out-dir "$module"
    # Else it has its type from the package around it.
    echo '{"type":"module"}' >"$module/package.json"
    printf '%s' "$module/plugin.js"
}
component=$(module "$1")
policies=()
for policy in "${@:3}"; do policies+=("$(module "$policy")"); done
node "$here/policies.mjs" "$component" "$2" "${policies[@]}"
