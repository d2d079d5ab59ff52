"""A host in Python: asks the core module, in wasmtime or, with the option --pure, in an interpreter that is written in Python.

    python host.py [--pure] core.wasm notifications.jsonl

Prints what each hook says, one JSON object a line, as `pipefold hook` does.
"""

import sys


class Wasmtime:
    """The engine that compiles. A new instance takes microseconds, so that each call gets one."""

    def __init__(self, path):
        import wasmtime

        self.wasmtime = wasmtime
        self.engine = wasmtime.Engine()
        self.module = wasmtime.Module.from_file(self.engine, path)

    def fresh(self):
        store = self.wasmtime.Store(self.engine)
        exports = self.wasmtime.Instance(store, self.module, []).exports(store)
        memory = exports["memory"]
        return (
            lambda name, *arguments: exports[name](store, *arguments),
            lambda place, data: memory.write(store, data, place),
            lambda place, length: bytes(memory.read(store, place, place + length)),
        )


class Pywasm:
    """The interpreter: slow, and nothing but Python. It reads the module again for each instance, so that one serves all calls."""

    def __init__(self, path):
        import pywasm

        runtime = pywasm.core.Runtime()
        instance = runtime.instance_from_file(path)
        memory = runtime.exported_memory(instance, "memory")
        self.instance = (
            lambda name, *arguments: runtime.invocate(instance, name, list(arguments))[0],
            lambda place, data: memory.put(place, bytearray(data)),
            lambda place, length: bytes(memory.get(place, length)),
        )

    def fresh(self):
        return self.instance


def ask(engine, hook, json):
    """The code and the JSON of an answer."""
    call, write, read = engine.fresh()
    if call("abi_version") != 1:
        sys.exit("the module has another version of the ABI")
    place = call("input", len(json))
    if place == 0:
        raise ValueError(f"the input has {len(json)} bytes, more than the module takes")
    write(place, json)
    code = call(hook)
    return code, read(call("output"), call("output_length"))


def main(module, notifications, engine=Wasmtime):
    engine = engine(module)
    with open(notifications, "rb") as file:
        lines = file.read().splitlines()
    history = b"[" + b",".join(lines) + b"]"
    worst = 0
    for hook, json in (("start", lines[0]), ("step", lines[1]), ("finish", history), ("merge", history)):
        # 0: a verdict. 1: not JSON of this form. 2: refused, and the answer lists the violations.
        code, answer = ask(engine, hook, json)
        worst = max(worst, code)
        sys.stdout.buffer.write(answer + b"\n")
    sys.exit(worst)


if sys.argv[1] == "--pure":
    main(*sys.argv[2:], engine=Pywasm)
main(*sys.argv[1:])
