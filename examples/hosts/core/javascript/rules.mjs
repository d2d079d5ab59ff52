// The rules in a core module, with WebAssembly as Node and browsers have it: see docs/core-module.md.

/** The function that asks the rules: `ask(hook, json)` gives the code and the JSON of the answer. `module` is a WebAssembly.Module. */
export async function rules(module) {
    const { abi_version } = (await WebAssembly.instantiate(module)).exports;
    if (abi_version() !== 1) throw new Error(`the module has version ${abi_version()} of the ABI, and this host knows version 1`);

    return async (hook, json) => {
        // An instance for each call: nothing is left of the calls before, and it imports nothing.
        const { exports } = await WebAssembly.instantiate(module);
        const input = new TextEncoder().encode(json);
        const place = exports.input(input.length);
        if (place === 0) throw new Error(`the input has ${input.length} bytes, more than the module takes`);
        new Uint8Array(exports.memory.buffer, place, input.length).set(input);
        const code = exports[hook]();
        // The memory may have grown, and then `buffer` is another one.
        const output = new Uint8Array(exports.memory.buffer, exports.output(), exports.output_length());
        return { code, json: new TextDecoder().decode(output) };
    };
}
