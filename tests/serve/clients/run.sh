#!/usr/bin/env bash
# run.sh PROGRAM ARGUMENTS...: runs a program of the packages in requirements.txt, installed from PyPI on first use. Where that cannot be,
# it says why and ends with 77. setuptools is for yagocd, which needs a module that Python had until 3.11.
# shellcheck source=../../../examples/tools.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../../examples/tools.sh"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

python_packages clients "$here/requirements.txt"
exec "$installed/clients/bin/$1" "${@:2}"
