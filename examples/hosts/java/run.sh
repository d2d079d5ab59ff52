#!/usr/bin/env bash
# Runs the Java host, with the `pipefold` in PATH: run.sh COMPONENT NOTIFICATIONS
# The component is the one within `pipefold`.
source "$(dirname "${BASH_SOURCE[0]}")/../../tools.sh"

need java
# 17 is the first with all that it uses; `java FILE` compiles in memory.
version=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')
[ "${version:-0}" -ge 17 ] || skip "java is older than 17"
java "$root/examples/hosts/java/Host.java" "$2"
