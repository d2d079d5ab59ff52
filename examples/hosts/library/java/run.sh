#!/usr/bin/env bash
# Compiles and runs the Java host: run.sh LIBRARY NOTIFICATIONS SPOOL
# JNA and Gson are Debian's, or those that CLASSPATH names.
source "$(dirname "${BASH_SOURCE[0]}")/../../../tools.sh"

need javac
here=$root/examples/hosts/library/java
export CLASSPATH=${CLASSPATH:-/usr/share/java/jna.jar:/usr/share/java/gson.jar}
for class in com.sun.jna.Native com.google.gson.Gson; do
    javap "$class" >/dev/null 2>&1 || skip "$class is missing (Debian: libjna-java and libgoogle-gson-java)"
done
to=$installed/library-java
javac -Xlint:all -Werror --release 17 -d "$to" "$here"/*.java "$here"/pipefold/*.java
CLASSPATH=$to:$CLASSPATH java -Dpipefold.library="$1" Host "$2" "$3"
