module example.com/pipefold

go 1.19
