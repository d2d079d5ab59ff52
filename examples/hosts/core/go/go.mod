module example.com/pipefold-core-host

go 1.24

require github.com/tetratelabs/wazero v1.12.0
