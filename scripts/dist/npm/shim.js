#!/usr/bin/env node
// Starts the executable of this platform's package. Where install scripts may run, install.js has replaced this file by the executable.
"use strict";

const { spawn } = require("child_process");

const platform = `@pipefold/${process.platform}-${process.arch}`;
let executable;
try {
  executable = require.resolve(`${platform}/bin/pipefold`);
} catch {
  console.error(`pipefold: the package ${platform} is missing: this platform has none, or it was installed without optional dependencies`);
  process.exit(127);
}

const args = process.argv.slice(2);
if (process.execve) {
  // No process stands between pipefold and the sender of a signal.
  process.execve(executable, [executable, ...args], process.env);
}

const child = spawn(executable, args, { stdio: "inherit" });
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"]) {
  process.on(signal, () => child.kill(signal));
}
child.on("error", (error) => {
  console.error(`pipefold: cannot start ${executable}: ${error.message}`);
  process.exit(126);
});
child.on("exit", (code, signal) => {
  if (signal) {
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  } else {
    process.exit(code);
  }
});
