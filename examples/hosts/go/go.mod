module example.com/pipefold-stream-host

go 1.19
