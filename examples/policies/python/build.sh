#!/usr/bin/env bash
# Installs componentize-py and builds the Python policy: build.sh COMPONENT
source "$(dirname "${BASH_SOURCE[0]}")/../../tools.sh"

component=$(realpath "$1")
here=$root/examples/policies/python
python_packages python-policy "$here/requirements.txt"
# From a copy, because Python writes a cache beside what it imports.
mkdir -p "$installed/python-policy/app"
cd "$installed/python-policy/app"
cp "$here/map_users.py" .
quietly "$installed/python-policy.log" ../bin/componentize-py --wit-path "$root/wit" --world policy \
    componentize --stub-wasi map_users --output "$component"
