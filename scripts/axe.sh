#!/usr/bin/env bash
# Prints the path of axe-core's script, which a package on PyPI has. Fetched on first use; where that cannot be, it says why and ends with 77.
# shellcheck source=../examples/tools.sh
source "$(dirname "${BASH_SOURCE[0]}")/../examples/tools.sh"

# Without the browser that the package would drive.
export PIP_NO_DEPS=1
python_packages axe "$root/scripts/axe.txt"
find "$installed/axe/lib" -name axe.min.js -print -quit
