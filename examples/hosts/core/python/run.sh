#!/usr/bin/env bash
# Installs wasmtime and pywasm, and runs the Python host in both: run.sh MODULE NOTIFICATIONS
source "$(dirname "${BASH_SOURCE[0]}")/../../../tools.sh"

here=$root/examples/hosts/core/python
python_packages core-python-host "$here/requirements.txt"
said=$("$installed/core-python-host/bin/python" "$here/host.py" "$1" "$2")
diff <(echo "$said") <("$installed/core-python-host/bin/python" "$here/host.py" --pure "$1" "$2") >&2
echo "$said"
