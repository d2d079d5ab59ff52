#!/usr/bin/env bash
# Compiles and runs the Java host: run.sh LIBRARY NOTIFICATIONS SPOOL; run.sh --stress LIBRARY POLICY SPOOL CALLS runs the stress test.
# JNA and Gson are Debian's, or those that CLASSPATH names.
source "$(dirname "${BASH_SOURCE[0]}")/../../../tools.sh"

program=Host options=()
if [ "$1" = --stress ]; then
    shift
    # All of the heap from the start, so that only other memory can grow. A profiler, which stops threads by SIGUSR2.
    program=Stress options=(-Xms128m -Xmx128m -XX:+AlwaysPreTouch "-XX:StartFlightRecording=settings=profile,maxsize=16m,filename=$3.jfr")
fi
need javac
here=$root/examples/hosts/library/java
export CLASSPATH=${CLASSPATH:-/usr/share/java/jna.jar:/usr/share/java/gson.jar}
for class in com.sun.jna.Native com.google.gson.Gson; do
    javap "$class" >/dev/null 2>&1 || skip "$class is missing (Debian: libjna-java and libgoogle-gson-java)"
done
to=$installed/library-java
quietly "$installed/library-java.log" javac -Xlint:all --release 17 -d "$to" "$here/$program.java" "$here"/pipefold/*.java
CLASSPATH=$to:$CLASSPATH java "${options[@]}" -Dpipefold.library="$1" "$program" "${@:2}"
