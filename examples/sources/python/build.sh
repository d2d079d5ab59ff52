#!/usr/bin/env bash
# Installs componentize-py and builds the Python source: build.sh COMPONENT
source "$(dirname "${BASH_SOURCE[0]}")/../../tools.sh"

component=$(realpath "$1")
here=$root/examples/sources/python
# The packages of the Python policy.
python_packages python-policy "$here/requirements.txt"
# From a copy, because Python writes a cache beside what it imports.
mkdir -p "$installed/python-source"
cd "$installed/python-source"
cp "$here/kiln.py" .
quietly "$installed/python-source.log" "$installed/python-policy/bin/componentize-py" --wit-path "$root/wit" --world source \
    componentize --stub-wasi kiln --output "$component"
