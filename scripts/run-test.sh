#!/usr/bin/env bash
# Runs one test executable, as cargo's runner. Tests of servers wait for clocks and sockets for most of their time: they run more at a time than
# there are processors, if nothing else is said.
case ${1##*/} in
fleet-*) : "${RUST_TEST_THREADS:=8}" ;;
command-* | delivery-* | gocd-* | pipefold_collector-* | policies-* | serve-*) : "${RUST_TEST_THREADS:=4}" ;;
esac
[ -z "${RUST_TEST_THREADS:-}" ] || export RUST_TEST_THREADS
exec "$@"
