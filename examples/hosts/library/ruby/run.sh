#!/usr/bin/env bash
# Runs the Ruby host: run.sh LIBRARY NOTIFICATIONS SPOOL
source "$(dirname "${BASH_SOURCE[0]}")/../../../tools.sh"

need ruby
ruby -e 'require "ffi"' 2>/dev/null || skip "ruby has no ffi (Debian: ruby-ffi; elsewhere: gem install ffi)"
LIBPIPEFOLD=$1 ruby "$root/examples/hosts/library/ruby/host.rb" "$2" "$3"
