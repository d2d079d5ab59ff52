#!/usr/bin/env bash
# Compiles the C host, and runs it: run.sh LIBRARY NOTIFICATIONS SPOOL
source "$(dirname "${BASH_SOURCE[0]}")/../../../tools.sh"

compiler=${CC:-cc}
need "$compiler"
to=$installed/library-c
mkdir -p "$to"
"$compiler" -std=c99 -Wall -Wextra -O2 -I "$root/host/c/include" "$root/examples/hosts/library/c/host.c" -o "$to/host" "$1"
# The program asks for the library by its soname.
ln -sf "$(realpath "$1")" "$to/libpipefold.so.1"
LD_LIBRARY_PATH=$to "$to/host" "$2" "$3"
