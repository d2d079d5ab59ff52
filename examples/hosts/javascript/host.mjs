// A host in JavaScript: calls the hooks of a component that jco made into a JavaScript module.
//
//     jco transpile default.wasm --out-dir component
//     node host.mjs component/default.js notifications.jsonl
//
// Prints what each hook says, one JSON object a line, as `pipefold hook` does. With DX_API_URL and DX_API_TOKEN it then tells DX of the run
// and its jobs. policies.mjs beside it puts policies in front, with limits of memory and time.

import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

import { canonical, fromReport, fromVerdict, toRecord } from "./records.mjs";

const [component, notifications] = process.argv.slice(2);
const { hooks, merging } = await import(pathToFileURL(resolve(component)));

// A refusal is thrown: its `payload` is the list of violations.
const hook = (name, argument) => fromVerdict(hooks[name](argument));

async function tellDx({ run: { attributes, ...run }, jobs }) {
    // DX has no field for attributes, and its page lists four statuses of a run; `unknown` is sent as none.
    const { status, ...rest } = run;
    await post("pipelineRuns.upsert", status === "unknown" ? rest : run);
    // DX takes a job only after its run.
    for (const job of jobs) {
        await post("pipelineJobs.upsert", { ...job, pipeline_source: run.pipeline_source, run_reference_id: run.reference_id });
    }
}

async function post(method, body) {
    const response = await fetch(new URL(`/api/${method}`, process.env.DX_API_URL), {
        method: "POST",
        headers: { Authorization: `Bearer ${process.env.DX_API_TOKEN}`, "Content-Type": "application/json" },
        body: canonical(body),
        // A token must not follow to wherever a redirect points.
        redirect: "error",
        signal: AbortSignal.timeout(10_000),
    });
    const answer = await response.json();
    if (answer.ok !== true) throw new Error(`DX refused ${method}: ${JSON.stringify(answer)}`);
}

const lines = (await readFile(notifications, "utf8")).trim().split("\n");
const history = lines.map((line) => toRecord(JSON.parse(line)));
const [start, step] = history;

const finish = hook("pipelineFinish", history);
const all = [hook("pipelineStart", start), hook("step", step), finish, fromReport(merging.merge(history))];
for (const said of all) console.log(canonical(said));

if (process.env.DX_API_URL && finish.verdict === "report") await tellDx(finish);
