module example.com/ci-server

go 1.19

require example.com/pipefold v0.0.0

// The wrapper of the C library. A server of your own copies the directory.
replace example.com/pipefold => ../hosts/library/go/pipefold
