// A host in JavaScript: calls the hooks of a component that jco made into a JavaScript module.
//
//     jco transpile default.wasm --out-dir component
//     node host.mjs component/default.js notifications.jsonl
//
// Prints what each hook says, one JSON object a line, as `pipefold hook` does. With DX_API_URL and DX_API_TOKEN it then tells DX of the run
// and its jobs.

import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [component, notifications] = process.argv.slice(2);
const { hooks, merging } = await import(pathToFileURL(resolve(component)));

// jco spells `pipeline-name` as `pipelineName`, and an s64 is a BigInt.
const toCamel = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
const toSnake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const each = (object, change) => Object.fromEntries(Object.entries(object).map(change));

const toRecord = (notification) => ({
    allowedToFail: false,
    urgent: false,
    ...each(notification, ([name, value]) => [toCamel(name), name === "pr_number" ? BigInt(value) : value]),
    attributes: Object.entries(notification.attributes ?? {}).map(([key, value]) => ({ key, value })),
});
const fromRecord = (record) => each(record, ([name, value]) => [toSnake(name), typeof value === "bigint" ? Number(value) : value]);

// As JSON, attributes are an object, and none are left out.
const fromReport = ({ run: { attributes, ...run }, jobs }) => ({
    run: {
        ...fromRecord(run),
        attributes: attributes.length ? Object.fromEntries(attributes.map(({ key, value }) => [key, value])) : undefined,
    },
    jobs: jobs.map(fromRecord),
});

// `JSON.stringify` leaves out what is undefined, as an absent option is.
const isObject = (value) => value && typeof value === "object" && !Array.isArray(value);
const canonical = (value) =>
    JSON.stringify(value, (_, inner) => (isObject(inner) ? Object.fromEntries(Object.entries(inner).sort()) : inner));

// A refusal is thrown: its `payload` is the list of violations.
const hook = (name, argument) => {
    const { tag, val } = hooks[name](argument);
    switch (tag) {
        case "report":
            return { verdict: tag, ...fromReport(val) };
        case "discard":
            return { verdict: tag, reason: val };
        default:
            return { verdict: tag };
    }
};

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
