#!/usr/bin/env bash
# Installs wasmtime and runs the Python host with policies in front: policies.sh COMPONENT NOTIFICATIONS POLICY...
source "$(dirname "${BASH_SOURCE[0]}")/../../tools.sh"

here=$root/examples/hosts/python
python_packages python-host "$here/requirements.txt"
"$installed/python-host/bin/python" "$here/policies.py" "$@"
