#!/usr/bin/env bash
# Runs one test executable, as cargo's runner. Tests of servers wait for clocks and sockets for most of their time: they run more at a time than
# there are processors, if nothing else is said.
#
# PIPEFOLD_LANE=long or short: only the executables of this lane, so that two lanes can run beside each other. Without it, all.
name=${1##*/}
case $name in
command-* | fleet-* | gocd-* | serve-*) lane=long ;;
*) lane=short ;;
esac
[ "${PIPEFOLD_LANE:-$lane}" = "$lane" ] || exit 0
unset PIPEFOLD_LANE

case $name in
fleet-*) : "${RUST_TEST_THREADS:=8}" ;;
command-* | delivery-* | gocd-* | pipefold_collector-* | policies-* | serve-*) : "${RUST_TEST_THREADS:=4}" ;;
esac
[ -z "${RUST_TEST_THREADS:-}" ] || export RUST_TEST_THREADS
exec "$@"
