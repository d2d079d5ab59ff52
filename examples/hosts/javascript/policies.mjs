// Policies in front, in JavaScript: each is a component whose import `hooks` is the next plugin's export, and the last plugin is the default
// component. All were made JavaScript modules by jco.
//
//     jco transpile default.wasm --name plugin --instantiation sync --out-dir default    (and so each policy)
//     node policies.mjs default/plugin.js notifications.jsonl policy/plugin.js...
//
// The first notification is a run's start and the last its finish; the others are its steps. Prints what each hook says, one JSON object a
// line, or `violations` if the rules refused it, or `error` if a plugin was stopped at a limit or crashed: such a notification is dropped, and
// the next has its turn.

import { readFile } from "node:fs/promises";

import { Chain, Failed, Refused } from "./chain.mjs";
import { canonical, fromVerdict, fromViolations, toRecord } from "./records.mjs";

const [component, notifications, ...policies] = process.argv.slice(2);
const chain = new Chain([...policies, component]);

/** Whether the notification is to be kept for the finish. */
async function ask(hook, argument) {
    const said = await chain.ask(hook, argument).then(fromVerdict, (failure) => {
        if (failure instanceof Refused) return { violations: fromViolations(failure.violations) };
        // Nothing of it is kept or sent. `pipefold` can also go on without the policy, if its owner says so.
        if (failure instanceof Failed) return { error: failure.message };
        throw failure;
    });
    console.log(canonical(said));
    return said.verdict === "report" || said.verdict === "hold";
}

const lines = (await readFile(notifications, "utf8")).trim().split("\n");
const [start, ...steps] = lines.map((line) => toRecord(JSON.parse(line)));
const finish = steps.pop();

const kept = [];
for (const event of [start, ...steps]) {
    if (await ask(event === start ? "pipelineStart" : "step", event)) kept.push(event);
}
await ask("pipelineFinish", [...kept, finish]);
await chain.close();
