#!/usr/bin/env bash
# Checks the recipes by their systems' own schemas or linters, as far as a package registry has them: not those of Concourse, GoCD and Jenkins,
# whose files tests/detection/recipes.rs reads all the same.
source "$(dirname "${BASH_SOURCE[0]}")/../tools.sh"

cd "$root/examples/ci"
python_packages ci-recipes requirements.txt
log=$installed/ci-recipes.check.log failed=0

# check NAME COMMAND...: one line; what the command said only if it failed.
check() {
    local name=$1
    shift
    if "$@" >"$log" 2>&1; then
        printf '%-20s valid\n' "$name"
    else
        printf '%-20s FAILED\n' "$name" && cat "$log"
        failed=1
    fi
}

# schema NAME SCHEMA [OPTION...] FILE...: by one of the schemas that the package carries.
schema() {
    local name=$1 schema=$2
    shift 2
    check "$name" "$installed/ci-recipes/bin/check-jsonschema" --builtin-schema "vendor.$schema" "$@"
}

schema "GitHub action" github-actions github-actions/action.yml
schema "GitHub workflow" github-workflows github-actions/workflow.yml
schema GitLab gitlab-ci --data-transform gitlab-ci gitlab/pipefold.gitlab-ci.yml
schema CircleCI circle-ci circleci/config.yml
# Its patterns are no regular expressions of the default dialect.
schema "Azure Pipelines" azure-pipelines --data-transform azure-pipelines --regex-variant nonunicode azure-pipelines/*.yml
schema Bitbucket bitbucket-pipelines bitbucket/bitbucket-pipelines.yml
schema Drone drone-ci drone/.drone.yml
schema Woodpecker woodpecker-ci woodpecker/build.yaml
check Argo "$installed/ci-recipes/bin/python" check-argo.py argo/workflow.yaml
if (npm_packages ci-tekton package.json); then
    check Tekton "$installed/ci-tekton/node_modules/.bin/tekton-lint" --quiet tekton/*.yaml
fi
exit "$failed"
