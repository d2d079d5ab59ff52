#!/usr/bin/env bash
# Takes wasmtime's library from its Python package and its headers from its crate, compiles the C host, and runs it, with policies in front:
# run.sh COMPONENT NOTIFICATIONS POLICY...
# A release of wasmtime has both in one archive; this is for where only package registries can be reached.
source "$(dirname "${BASH_SOURCE[0]}")/../../tools.sh"

here=$root/examples/hosts/c-component
compiler=${CC:-cc}
need "$compiler"
need cargo
printf '#include <jansson.h>\n' | "$compiler" -fsyntax-only -x c - 2>/dev/null || skip "jansson.h is missing (Debian: libjansson-dev)"

python_packages c-host "$here/requirements.txt"
library=$(compgen -G "$installed/c-host/lib/python3*/site-packages/wasmtime/*/_libwasmtime.so") || skip "the Python package has no library for this system"
version=$(sed -n 's/^wasmtime==//p' "$here/requirements.txt")
# `cargo info` unpacks a crate into cargo's own directory, and builds nothing.
headers() { compgen -G "${CARGO_HOME:-$HOME/.cargo}/registry/src/*/wasmtime-c-api-impl-$version/include" | head -n 1; }
[ -n "$(headers)" ] || (cd / && quietly "$installed/c-host.log" cargo info "wasmtime-c-api-impl@$version") || true
headers=$(headers)
[ -n "$headers" ] || skip "cargo could not fetch wasmtime-c-api-impl $version (is the registry out of reach?)"

# What its own build would write: the parts of the library whose functions are declared.
to=$installed/c-host
mkdir -p "$to/include/wasmtime"
sed -E 's/^#cmakedefine (WASMTIME_FEATURE_(COMPONENT_MODEL|CRANELIFT))$/#define \1/; /^#cmakedefine/d' "$headers/wasmtime/conf.h.in" >"$to/include/wasmtime/conf.h"
"$compiler" -std=c11 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Werror -I"$to/include" -isystem "$headers" "$here/host.c" "$here/values.c" \
    "$library" -Wl,-rpath,"$(dirname "$library")" -ljansson -lpthread -o "$to/host"
"$to/host" "$@"
