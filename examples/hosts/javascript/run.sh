#!/usr/bin/env bash
# Installs jco, makes a JavaScript module of the component, and runs the JavaScript host: run.sh COMPONENT NOTIFICATIONS
source "$(dirname "${BASH_SOURCE[0]}")/../../tools.sh"

here=$root/examples/hosts/javascript
npm_packages javascript-host "$here/package.json"
module=$installed/javascript-host/component
quietly "$installed/javascript-host.log" "$installed/javascript-host/node_modules/.bin/jco" transpile "$1" --name plugin --out-dir "$module"
node "$here/host.mjs" "$module/plugin.js" "$2"
