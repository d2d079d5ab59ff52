// A host in JavaScript without a library: asks the core module.
//
//     node host.mjs core.wasm notifications.jsonl
//
// Prints what each hook says, one JSON object a line, as `pipefold hook` does.

import { readFile } from "node:fs/promises";

import { rules } from "./rules.mjs";

const [module, notifications] = process.argv.slice(2);
const ask = await rules(await WebAssembly.compile(await readFile(module)));
const lines = (await readFile(notifications, "utf8")).trim().split("\n");
const history = `[${lines.join(",")}]`;

for (const [hook, json] of [["start", lines[0]], ["step", lines[1]], ["finish", history], ["merge", history]]) {
    const answer = await ask(hook, json);
    console.log(answer.json);
    // 0: a verdict. 1: not JSON of this form. 2: refused, and the answer lists the violations.
    if (answer.code !== 0) process.exitCode = answer.code;
}
