# frozen_string_literal: true

require "ffi"
require "json"

# libpipefold in Ruby, by the gem ffi: reports runs to DX.
#
#   Pipefold::Reporter.open(dx_url: "https://dx.example.com", token: token, spool: "/var/lib/my-ci/pipefold") do |reporter|
#     reporter.start(pipeline_name: "build", pipeline_source: "my-ci", reference_id: "1")
#   end
#
# Each call records on disk before it returns, and other threads run meanwhile. A server that forks opens a reporter in each of its workers: in the
# child of a fork the calls of an older one fail.
module Pipefold
  ABI = 1

  # The functions of pipefold.h.
  module Library
    extend FFI::Library
    # LIBPIPEFOLD is for a library outside of the system's directories.
    ffi_lib ENV.fetch("LIBPIPEFOLD", "libpipefold.so.1")

    callback :log, %i[pointer int32 string], :void
    attach_function :pipefold_abi, [], :uint32
    attach_function :pipefold_version, [], :string
    # Blocking: it gives up the interpreter's lock for the call.
    attach_function :pipefold_open, %i[buffer_in size_t log pointer buffer_out buffer_out], :int32, blocking: true
    %i[start step finish flush merge].each do |call|
      attach_function :"pipefold_#{call}", %i[pointer buffer_in size_t buffer_out], :int32, blocking: true
    end
    attach_function :pipefold_free, [:pointer], :void
    attach_function :pipefold_close, [:pointer], :void, blocking: true
  end

  unless Library.pipefold_abi == ABI
    raise LoadError, "libpipefold #{Library.pipefold_version} has interface #{Library.pipefold_abi}, and this file needs interface #{ABI}"
  end

  def self.version = Library.pipefold_version

  # What the library could not do.
  class Error < StandardError
    # The rules that a refused notification breaks.
    attr_reader :violations

    def initialize(answer)
      super(answer.fetch(:error, "libpipefold failed, and does not say why"))
      @violations = answer.fetch(:violations, [])
    end
  end

  # The notification breaks rules, and was not recorded.
  class Refused < Error; end

  # An argument, the configuration or the JSON is wrong.
  class Invalid < Error; end

  # The reporter was opened before a fork.
  class Forked < Error; end

  ERRORS = { 1 => Refused, 2 => Invalid, 4 => Forked }.freeze
  private_constant :ERRORS

  # Reports runs to DX. Any number of threads may use it at once.
  class Reporter
    # The settings have the keys of pipefold.toml, and `token`; with nil all is read from the environment and files, as by the command. The log is
    # called with a level, 1 for errors to 5 for traces, and a message, in the thread of the call that they are about. With a block the reporter is
    # closed at its end.
    def self.open(config = nil, log: nil)
      reporter = new(config, log: log)
      return reporter unless block_given?

      begin
        yield reporter
      ensure
        reporter.close
      end
    end

    def initialize(config = nil, log: nil)
      # It has to live as long as the reporter.
      @log = log && FFI::Function.new(:void, %i[pointer int32 string]) { |_, level, message| log.call(level, message.force_encoding("UTF-8")) }
      text = config && JSON.generate(config)
      place = FFI::MemoryPointer.new(:pointer)
      ask(:pipefold_open, text, text ? text.bytesize : 0, @log, nil, place)
      # If it is forgotten, the garbage collection closes it.
      @reporter = FFI::AutoPointer.new(place.read_pointer, Library.method(:pipefold_close))
    end

    # Reports that a run began. Gives the receipt.
    def start(run) = call(:pipefold_start, run)

    # Reports that a step began or ended. Gives the receipt.
    def step(step) = call(:pipefold_step, step)

    # Reports that a run ended, and sends it. Gives the receipt.
    def finish(run) = call(:pipefold_finish, run)

    # Sends what waits. The options are those of `pipefold flush`, such as `timeout: "10s"`.
    def flush(**options) = call(:pipefold_flush, options)

    # Folds the notifications of one run by DX's rule. Records and sends nothing.
    def merge(history) = call(:pipefold_merge, history)

    # Frees the reporter. What was not sent stays on disk. Later calls fail.
    def close
      @reporter.free
    end

    private

    def call(function, value)
      text = JSON.generate(value)
      ask(function, @reporter, text, text.bytesize)
    end

    def ask(function, *arguments)
      place = FFI::MemoryPointer.new(:pointer)
      status = Library.public_send(function, *arguments, place)
      answer = place.read_pointer
      said = answer.null? ? {} : JSON.parse(answer.read_string.force_encoding("UTF-8"), symbolize_names: true)
      raise ERRORS.fetch(status, Error).new(said) unless status.zero?

      said
    ensure
      # Also after an exception of the log, which ffi raises at the end of the call. NULL is fine.
      Library.pipefold_free(place.read_pointer)
    end
  end
end
