// A chain of plugins with limits of memory and time: policies, and the default component as the last. It runs in a worker, which is ended and
// replaced when it breaks a limit.

import { setFlagsFromString } from "node:v8";
import { Worker } from "node:worker_threads";

const MEMORY_MIB = 64; // Of each plugin; as in `pipefold`.
const CALL_MS = 1000; // For the whole chain.
const START_MS = 30_000; // To load and compile it.

// Pages of 64 KiB. It is for all WebAssembly of this process, and must be set before the first: V8 has no limit for one worker.
setFlagsFromString(`--wasm-max-mem-pages=${MEMORY_MIB * 16}`);

/** A plugin was stopped at a limit, or crashed. It has given no answer. */
export class Failed extends Error {}

/** The rules, or a policy, refused the notification. */
export class Refused extends Error {
    constructor(violations) {
        super(violations.map(({ field, message }) => `${field}: ${message}`).join("; "));
        this.violations = violations;
    }
}

export class Chain {
    #plugins;
    #worker; // A promise of one that is ready; absent before the first call, and after a failure.
    #last = Promise.resolve();

    /** The modules that jco made, in the order of their calls: policies, and then the default component. */
    constructor(plugins) {
        this.#plugins = plugins;
    }

    /** Asks `pipelineStart`, `step` or `pipelineFinish`. One question at a time: others wait. */
    ask(hook, argument) {
        const answer = this.#last.then(() => this.#ask(hook, argument));
        this.#last = answer.catch(() => {});
        return answer;
    }

    async #ask(hook, argument) {
        this.#worker ??= this.#start();
        try {
            const worker = await this.#worker;
            worker.postMessage({ hook, argument });
            const { verdict, violations, error } = await next(worker, CALL_MS);
            if (violations) throw new Refused(violations);
            if (error) throw new Failed(error);
            return verdict;
        } catch (failure) {
            // After a trap an instance is not used again, but the worker may be: it makes new ones for each call.
            if (failure instanceof Stopped) await this.close();
            throw failure;
        }
    }

    async #start() {
        const worker = new Worker(new URL("./chain-worker.mjs", import.meta.url), {
            workerData: this.#plugins,
            // JavaScript's own memory: what a plugin hands over becomes objects in it.
            resourceLimits: { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 16 },
            env: {},
        });
        try {
            await next(worker, START_MS);
        } catch (failure) {
            await worker.terminate();
            throw failure;
        }
        // The process may end while it waits for questions.
        worker.unref();
        return worker;
    }

    /** Ends the worker. The next question starts another. */
    async close() {
        const worker = this.#worker;
        this.#worker = undefined;
        await worker?.then((ready) => ready.terminate(), () => {});
    }
}

/** The worker was lost, or must be. */
class Stopped extends Failed {}

/** The worker's next message, within this time. */
function next(worker, milliseconds) {
    return new Promise((resolve, reject) => {
        const done = (settle) => (value) => {
            clearTimeout(timer);
            worker.off("message", answered).off("error", failed).off("exit", ended);
            settle(value);
        };
        const answered = done(resolve);
        const failed = done((error) => reject(new Stopped(error.message)));
        const ended = done(() => reject(new Stopped("the worker ended")));
        const timer = setTimeout(() => failed(new Error(`stopped after ${milliseconds} ms`)), milliseconds);
        worker.once("message", answered).once("error", failed).once("exit", ended);
    });
}
