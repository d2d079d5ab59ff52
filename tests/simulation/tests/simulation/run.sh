#!/usr/bin/env bash
# run.sh: checks the files of examples/fleet by validate.py. Ends with 77 and a reason if its packages cannot be installed.
# shellcheck source=../../../../examples/tools.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../../../examples/tools.sh"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python_packages manifests "$here/requirements.txt"
export PYTHONDONTWRITEBYTECODE=1
exec "$installed/manifests/bin/python" "$here/validate.py"
