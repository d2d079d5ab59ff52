#!/usr/bin/env bash
# Compiles and runs the C# host with Mono: run.sh LIBRARY NOTIFICATIONS SPOOL
# NEWTONSOFT_JSON is the path of Newtonsoft.Json.dll, if it is not Debian's.
source "$(dirname "${BASH_SOURCE[0]}")/../../../tools.sh"

need mcs
need mono
json=${NEWTONSOFT_JSON:-/usr/lib/cli/Newtonsoft.Json-5.0/Newtonsoft.Json.dll}
[ -f "$json" ] || skip "Newtonsoft.Json is missing (Debian: libnewtonsoft-json5.0-cil)"
here=$root/examples/hosts/library/dotnet
to=$installed/library-dotnet
mkdir -p "$to"
# Beside the program, as it looks for both.
cp "$json" "$to"
ln -sf "$(realpath "$1")" "$to/libpipefold.so.1"
mcs -warnaserror -langversion:7 -reference:"$json" -out:"$to/host.exe" "$here"/*.cs
LD_LIBRARY_PATH=$to mono "$to/host.exe" "$2" "$3"
