#!/usr/bin/env bash
# Fetches wazero and runs the Go host: run.sh MODULE NOTIFICATIONS
source "$(dirname "${BASH_SOURCE[0]}")/../../../tools.sh"

need go
to=$installed/core-go-host
mkdir -p "$to"
cp "$root/examples/hosts/core/go/"{go.mod,main.go} "$to"
cd "$to"
quietly "$installed/core-go-host.log" timeout 120 go mod tidy || skip "go could not fetch wazero (is it older than 1.24, or the module proxy out of reach?)"
go run . "$1" "$2"
