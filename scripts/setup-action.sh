#!/usr/bin/env bash
# The `setup` action: installs a release into the tool cache of a GitHub or Gitea runner, once for each version, and puts it into PATH.
set -euo pipefail
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

flavour=full options=()
if [ "${RUNNER_BUILD:-}" = true ]; then flavour=runner options+=(--runner); fi
[ -z "${FROM:-}" ] || options+=(--from "$FROM")
[ -z "${VERSION:-}" ] || options+=(--version "${VERSION#v}")

# As runners name the places of tools, so that a machine that is kept finds it again. The newest version is looked for each time.
cache=${RUNNER_TOOL_CACHE:-$HOME/.cache}/pipefold-$flavour
place=$cache/${VERSION:+${VERSION#v}}
if [ -z "${VERSION:-}" ]; then place=$cache/newest; fi
place=$place/$(uname -m)
if [ -z "${VERSION:-}" ] || ! "$place/bin/pipefold" -V >/dev/null 2>&1; then
    # In PATH it will be.
    PATH=$PATH:$place/bin "$scripts/install.sh" --prefix "$place" ${options[@]+"${options[@]}"}
fi
echo "$place/bin" >>"$GITHUB_PATH"
echo "path=$place/bin/pipefold" >>"$GITHUB_OUTPUT"
