"""Policies in front, in Python: each is a component whose import `hooks` is the next plugin's export, and the last plugin is the default component.

    python policies.py default.wasm notifications.jsonl policy.wasm...

The first notification is a run's start and the last its finish; the others are its steps. Prints what each hook says, one JSON object a line, or
`violations` if the rules refused it, or `error` if a plugin was stopped at a limit or crashed: such a notification is dropped, and the next has its turn.
"""

import json
import sys
import threading
import time
from pathlib import Path

from wasmtime import Config, Engine, Store, WasmtimeError
from wasmtime.component import Linker

from host import HOOKS, Plugin, Refused, accepted, canonical, to_record

# Of one plugin in one hook, as in `pipefold`.
MEMORY = 64 << 20
SECONDS = 0.25
TICK = 0.01


def limited_engine():
    """An engine whose calls can be stopped: its clock ticks in a thread, and a call ends when it has taken this many ticks."""
    config = Config()
    config.epoch_interruption = True
    # Else the engine handles the process's SIGSEGV and SIGILL, which other libraries may want.
    config.signals_based_traps = False
    engine = Engine(config)

    def clock():
        while True:
            time.sleep(TICK)
            engine.increment_epoch()

    threading.Thread(target=clock, daemon=True).start()
    return engine


class Failed(Exception):
    """A plugin was stopped at a limit, or crashed. It has given no answer."""


class Limited(Plugin):
    def __init__(self, path, engine):
        super().__init__(path, engine)
        self.name = Path(path).stem

    def call(self, interface, function, argument):
        try:
            return super().call(interface, function, argument)
        except WasmtimeError as error:
            # The last line is the cause; those above it are the plugin's stack.
            raise Failed(f"{self.name}: {function}: {str(error).strip().splitlines()[-1].strip()}") from error

    def new_store(self):
        store = Store(self.engine)
        store.set_limits(memory_size=MEMORY, table_elements=20_000, instances=100, tables=100, memories=100)
        store.set_epoch_deadline(int(SECONDS / TICK))
        return store


class Policy(Limited):
    """A policy before another plugin, which has a store of its own: neither uses up the memory of the other, nor sees it."""

    def __init__(self, path, following):
        super().__init__(path, following.engine)
        self.linker = Linker(self.engine)
        with self.linker.root() as root, root.add_instance(HOOKS) as hooks:
            for hook in ("pipeline-start", "step", "pipeline-finish"):
                hooks.add_func(hook, self.asks(following, hook))

    @staticmethod
    def asks(following, hook):
        # wasmtime 50 takes a list of violations for a verdict, and so cannot hand it to a policy. Here a refusal ends the calls of all policies:
        # they do not see it, and cannot make another answer of it.
        return lambda _store, argument: accepted(following.call(HOOKS, hook, argument))

    def merge(self, history):
        raise NotImplementedError("only the last plugin merges")


def main(component, notifications, *policies):
    plugin = Limited(component, limited_engine())
    # The first policy is called first, so it comes last.
    for path in reversed(policies):
        plugin = Policy(path, plugin)
    with open(notifications, encoding="utf-8") as lines:
        start, *steps, finish = [to_record(json.loads(line)) for line in lines]

    kept = []
    for hook, event in [("pipeline-start", start), *(("step", step) for step in steps)]:
        if ask(plugin, hook, event):
            kept.append(event)
    ask(plugin, "pipeline-finish", [*kept, finish])


def ask(plugin, hook, argument):
    """Whether the notification is to be kept for the finish."""
    try:
        said = plugin.hook(hook, argument)
    except Refused as refused:
        said = {"violations": refused.violations}
    except Failed as failed:
        # Nothing of it is kept or sent. `pipefold` can also go on without the policy, if its owner says so.
        said = {"error": str(failed)}
    sys.stdout.buffer.write(canonical(said).encode() + b"\n")
    return said.get("verdict") in ("report", "hold")


main(*sys.argv[1:])
