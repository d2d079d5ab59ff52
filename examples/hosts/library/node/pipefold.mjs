// libpipefold in Node, by koffi: reports runs to DX.
//
//     const reporter = await Reporter.open({ dx_url: "https://dx.example.com", token, spool: "/var/lib/my-ci/pipefold" });
//     await reporter.start({ pipeline_name: "build", pipeline_source: "my-ci", reference_id: "1" });
//
// Each call records on disk before its promise is kept. It runs in a thread of Node's pool, so that the event loop goes on meanwhile.

import { promisify } from "node:util";

import koffi from "koffi";

export const ABI = 1;

// koffi lends each call a stack of this size, and the library's engine needs more than the usual 128 KiB. Memory that is not used is not taken.
koffi.config({ async_stack_size: 4 << 20 });

// Calls at the same time; others wait here, where they cost no stack. Node's pool has four threads if UV_THREADPOOL_SIZE does not say otherwise.
const MOST_CALLS = 16;

// LIBPIPEFOLD is for a library outside of the system's directories.
const path = process.env.LIBPIPEFOLD ?? "libpipefold.so.1";
const library = koffi.load(path);

koffi.opaque("pipefold_reporter");
const Log = koffi.proto("void pipefold_log(void *context, int32_t level, const char *message)");
const free = library.func("void pipefold_free(void *answer)");
const close = library.func("void pipefold_close(pipefold_reporter *reporter)");
export const version = library.func("const char *pipefold_version()");

const abi = library.func("uint32_t pipefold_abi()")();
if (abi !== ABI) throw new Error(`${path} has interface ${abi}, and this module needs interface ${ABI}`);

// An answer is a `void *` here: as a `char *`, koffi would make a string of it and lose the place that is to be freed.
const ANSWER = "_Out_ void **answer";
const promising = (prototype) => promisify(library.func(prototype).async);
const functions = {
    open: promising(
        `int32_t pipefold_open(const char *config, size_t length, pipefold_log *log, void *context, _Out_ pipefold_reporter **reporter, ${ANSWER})`,
    ),
};
for (const name of ["start", "step", "finish", "flush", "merge"]) {
    functions[name] = promising(`int32_t pipefold_${name}(pipefold_reporter *reporter, const char *text, size_t length, ${ANSWER})`);
}

const CODES = { 1: "REFUSED", 2: "INVALID", 3: "FAILED", 4: "FORKED" };

/** What the library could not do. `code` says whose fault it is, and `violations` lists the rules that a refused notification breaks. */
export class PipefoldError extends Error {
    constructor(status, { error = `libpipefold failed with status ${status}`, violations = [] }) {
        super(error);
        this.name = "PipefoldError";
        this.code = CODES[status] ?? "FAILED";
        this.violations = violations;
    }
}

/** Reports runs to DX. Many calls may be under way at once. */
export class Reporter {
    #reporter;
    #log;
    #running = new Set();

    constructor(key, reporter, log) {
        if (key !== opening) throw new TypeError("use Reporter.open");
        this.#reporter = reporter;
        this.#log = log;
    }

    /**
     * The configuration has the keys of pipefold.toml, and `token`; without it all is read from the environment and files, as by the command.
     * `log(level, message)` gets messages, 1 for errors to 5 for traces.
     */
    static async open(config, log) {
        const registered = log && koffi.register((_context, level, message) => log(level, message), koffi.pointer(Log));
        const reporter = [null];
        try {
            const text = config === undefined ? null : JSON.stringify(config);
            await ask("open", text, text === null ? 0 : Buffer.byteLength(text), registered ?? null, null, reporter);
        } catch (failure) {
            if (registered) koffi.unregister(registered);
            throw failure;
        }
        return new Reporter(opening, reporter[0], registered);
    }

    /** Reports that a run began. Gives the receipt. */
    start(run) {
        return this.#call("start", run);
    }

    /** Reports that a step began or ended. Gives the receipt. */
    step(step) {
        return this.#call("step", step);
    }

    /** Reports that a run ended, and sends it. Gives the receipt. */
    finish(run) {
        return this.#call("finish", run);
    }

    /** Sends what waits. The options are those of `pipefold flush`, such as `{ timeout: "10s" }`. */
    flush(options = {}) {
        return this.#call("flush", options);
    }

    /** Folds the notifications of one run by DX's rule. Records and sends nothing. */
    merge(history) {
        return this.#call("merge", history);
    }

    /** Waits for the calls that are under way, and frees the reporter. What was not sent stays on disk. Later calls fail. */
    async close() {
        const reporter = this.#reporter;
        this.#reporter = null;
        await Promise.allSettled(this.#running);
        close(reporter);
        if (this.#log) koffi.unregister(this.#log);
        this.#log = undefined;
    }

    #call(name, value) {
        const text = JSON.stringify(value) ?? "null";
        const call = ask(name, this.#reporter, text, Buffer.byteLength(text));
        this.#running.add(call);
        // The caller has the promise itself, and its failure.
        const done = () => this.#running.delete(call);
        call.then(done, done);
        return call;
    }
}

const opening = Symbol("opening");

let running = 0;
const waiting = [];

async function ask(name, ...given) {
    if (running < MOST_CALLS) running++;
    else await new Promise((resolve) => waiting.push(resolve));
    const answer = [null];
    try {
        const status = await functions[name](...given, answer);
        const said = answer[0] === null ? {} : JSON.parse(koffi.decode(answer[0], "char", -1));
        if (status !== 0) throw new PipefoldError(status, said);
        return said;
    } finally {
        free(answer[0]);
        // The next one takes the place over.
        const next = waiting.shift();
        if (next) next();
        else running--;
    }
}
