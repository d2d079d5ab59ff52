#!/usr/bin/env bash
# Fetches Chicory and runs the Java host: run.sh MODULE NOTIFICATIONS
source "$(dirname "${BASH_SOURCE[0]}")/../../../tools.sh"

need java
need mvn
version=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')
[ "${version:-0}" -ge 17 ] || skip "java is older than 17"
to=$installed/core-java-host
mkdir -p "$to"
cp "$root/examples/hosts/core/java/pom.xml" "$to"
quietly "$installed/core-java-host.log" timeout 120 mvn --batch-mode --quiet --file "$to/pom.xml" dependency:copy-dependencies "-DoutputDirectory=$to/chicory" ||
    skip "mvn could not fetch Chicory (is the package registry out of reach?)"
java -cp "$to/chicory/*" "$root/examples/hosts/core/java/Host.java" "$1" "$2"
