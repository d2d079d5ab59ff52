// Puts the executable of this platform in place of bin/pipefold, so that a call does not start Node. Where that fails, bin/pipefold stays
// what it is, a program for Node that starts the executable: so no failure here is one of the installation.
"use strict";

const fs = require("fs");
const path = require("path");

const place = path.join(__dirname, "bin", "pipefold");
const aside = `${place}.${process.pid}.new`;
try {
  // It starts each command with Node, whatever the file is.
  if (/\byarn\//.test(process.env.npm_config_user_agent || "")) throw new Error("yarn starts no other program");
  const executable = require.resolve(`@pipefold/${process.platform}-${process.arch}/bin/pipefold`);
  try {
    fs.linkSync(executable, aside);
  } catch {
    fs.copyFileSync(executable, aside);
  }
  fs.chmodSync(aside, 0o755);
  fs.renameSync(aside, place);
} catch (error) {
  fs.rmSync(aside, { force: true });
  console.warn(`pipefold: each call starts Node first: ${error.message.split("\n")[0]}`);
}
