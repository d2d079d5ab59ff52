# frozen_string_literal: true

# A host in Ruby that records a run with libpipefold, and sends it to DX.
#
#     DX_API_URL=… DX_API_TOKEN=… ruby host.rb notifications.jsonl spool
#
# The first notification is the run's start and the last its finish; the others are its steps. Prints the verdict of each, what the rules say of a
# wrong one, and the run as DX's rule folds it.

require_relative "pipefold"

def say(call, receipt)
  puts "#{call} #{receipt[:verdict]}"
  # It is recorded all the same, and sent by a later call or flush.
  warn receipt[:trouble] if receipt[:trouble]
end

# As JSON with sorted names.
def sorted(value)
  case value
  when Hash then value.sort.to_h { |name, inner| [name, sorted(inner)] }
  when Array then value.map { |inner| sorted(inner) }
  else value
  end
end

notifications, spool = ARGV
history = File.foreach(notifications, encoding: "UTF-8").map { |line| JSON.parse(line) }
start, *steps, finish = history

config = { dx_url: ENV.fetch("DX_API_URL"), token: ENV.fetch("DX_API_TOKEN"), spool: spool }
Pipefold::Reporter.open(config, log: ->(level, message) { warn "#{level}: #{message}" }) do |reporter|
  say "start", reporter.start(start)
  steps.each { |step| say "step", reporter.step(step) }
  say "finish", reporter.finish(finish)
  begin
    reporter.step(steps.first.merge("status" => "won"))
  rescue Pipefold::Refused => refused
    puts "refused #{refused.violations.first.values_at(:field, :fault).join(' ')}"
  end
  puts JSON.generate(sorted(reporter.merge(history)))
end
