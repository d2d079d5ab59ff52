module example.com/pipefold-stress

go 1.19

require example.com/pipefold v0.0.0

replace example.com/pipefold => ../pipefold
