// The worker of chain.mjs: answers questions one after the other, each in fresh instances.

import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parentPort, workerData } from "node:worker_threads";

// As an import it is named without its version.
const HOOKS = "pipefold:ci/hooks";

/** A plugin that jco made with `--instantiation sync`, whose code is compiled once. */
async function load(path) {
    const { instantiate } = await import(pathToFileURL(resolve(path)));
    const compiled = new Map();
    const compile = (file) => {
        if (!compiled.has(file)) compiled.set(file, new WebAssembly.Module(readFileSync(join(dirname(path), file))));
        return compiled.get(file);
    };
    return (imports) => instantiate(compile, imports);
}

const plugins = await Promise.all(workerData.map(load));

/** The hooks of the first plugin. Each has the next one's as its import; the last imports nothing. */
function instances() {
    return plugins.reduceRight((next, instantiate) => instantiate({ [HOOKS]: next }).hooks, undefined);
}

parentPort.on("message", ({ hook, argument }) => {
    try {
        parentPort.postMessage({ verdict: instances()[hook](argument) });
    } catch (failure) {
        // A refusal is thrown: its `payload` is the list of violations.
        parentPort.postMessage(failure.payload ? { violations: failure.payload } : { error: String(failure.message) });
    }
});
parentPort.postMessage("ready");
