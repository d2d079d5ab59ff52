// A host in JavaScript that records a run with libpipefold, and sends it to DX.
//
//     DX_API_URL=… DX_API_TOKEN=… node host.mjs notifications.jsonl spool
//
// The first notification is the run's start and the last its finish; the others are its steps. Prints the verdict of each, what the rules say of
// a wrong one, and the run as DX's rule folds it.

import { readFile } from "node:fs/promises";

import { PipefoldError, Reporter } from "./pipefold.mjs";

const [notifications, spool] = process.argv.slice(2);
const lines = (await readFile(notifications, "utf8")).trim().split("\n");
const history = lines.map((line) => JSON.parse(line));
const [start, ...steps] = history;
const finish = steps.pop();

const say = (call, { verdict, trouble }) => {
    console.log(call, verdict);
    // It is recorded all the same, and sent by a later call or flush.
    if (trouble) console.error(trouble);
};
const isObject = (value) => value && typeof value === "object" && !Array.isArray(value);
const sorted = (_name, value) => (isObject(value) ? Object.fromEntries(Object.entries(value).sort()) : value);

const config = { dx_url: process.env.DX_API_URL, token: process.env.DX_API_TOKEN, spool };
const reporter = await Reporter.open(config, (level, message) => console.error(`${level}: ${message}`));
try {
    say("start", await reporter.start(start));
    for (const step of steps) say("step", await reporter.step(step));
    say("finish", await reporter.finish(finish));
    try {
        await reporter.step({ ...steps[0], status: "won" });
    } catch (refused) {
        if (!(refused instanceof PipefoldError) || refused.code !== "REFUSED") throw refused;
        console.log("refused", refused.violations[0].field, refused.violations[0].fault);
    }
    console.log(JSON.stringify(await reporter.merge(history), sorted));
} finally {
    await reporter.close();
}
