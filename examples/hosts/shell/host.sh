#!/bin/sh
# A host in shell: pipes JSON through `pipefold hook`. Needs jq and curl.
#
#     sh host.sh notifications.jsonl
#
# Prints what each hook says, one JSON object a line. With DX_API_URL and DX_API_TOKEN it then sends the run and its jobs to DX.
set -eu
notifications=$1

# post METHOD: calls a method of DX with the JSON on stdin. The token goes in by a file and not by an argument, which any process could read.
post() {
    answer=$(curl --silent --show-error --max-time 10 --data-binary @- --header 'Content-Type: application/json' --header @/dev/fd/3 \
        "$DX_API_URL/api/$1" 3<<TOKEN
Authorization: Bearer $DX_API_TOKEN
TOKEN
    )
    if [ "$(printf %s "$answer" | jq .ok)" != true ]; then
        echo "DX refused $1: $answer" >&2
        exit 1
    fi
}

sed -n 1p "$notifications" | pipefold hook start
sed -n 2p "$notifications" | pipefold hook step
finish=$(jq --slurp . "$notifications" | pipefold hook finish)
printf '%s\n' "$finish"
jq --slurp . "$notifications" | pipefold hook merge

if [ -n "${DX_API_URL:-}" ] && [ "$(printf %s "$finish" | jq -r .verdict)" = report ]; then
    # DX has no field for attributes, and its page lists four statuses of a run; `unknown` is sent as none.
    printf %s "$finish" | jq '.run | del(.attributes) | if .status == "unknown" then del(.status) else . end' | post pipelineRuns.upsert
    # DX takes a job only after its run.
    printf %s "$finish" | jq --compact-output '.run as $run | .jobs[] | .pipeline_source = $run.pipeline_source | .run_reference_id = $run.reference_id' |
        while IFS= read -r job; do
            printf %s "$job" | post pipelineJobs.upsert
        done
fi
