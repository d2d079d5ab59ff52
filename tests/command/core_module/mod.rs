//! The rules as a core module, as a host without components sees them: its ABI, and the same answers as the component's.

#[path = "../../../plugin/tests/rules/generate.rs"]
mod generate;
mod hostile;
mod same;

use pipefold_core::{Code, Hook, MODULE};
use std::sync::LazyLock;
use wasmparser::{Parser, Payload, Validator, WasmFeatures};
use wasmtime::{Config, Engine, Instance, Memory, Module, Store};

/// The module, compiled once, with a count of instructions that can end a call.
static COMPILED: LazyLock<Module> = LazyLock::new(|| {
    let mut config = Config::new();
    config.consume_fuel(true);
    Module::new(&Engine::new(&config).unwrap(), MODULE).unwrap()
});

const HOOKS: [(Hook, &str); 4] = [
    (Hook::Start, "start"),
    (Hook::Step, "step"),
    (Hook::Finish, "finish"),
    (Hook::Merge, "merge"),
];

/// An instance, used as `docs/core-module.md` says.
struct Host {
    store: Store<()>,
    instance: Instance,
    memory: Memory,
}

impl Host {
    fn new() -> Self {
        let mut store = Store::new(COMPILED.engine(), ());
        store.set_fuel(u64::MAX).unwrap();
        let instance = Instance::new(&mut store, &COMPILED, &[]).unwrap();
        let memory = instance.get_memory(&mut store, "memory").unwrap();
        Self {
            store,
            instance,
            memory,
        }
    }

    /// Calls an export without parameters.
    fn get(&mut self, export: &str) -> wasmtime::Result<u32> {
        let function = self
            .instance
            .get_typed_func::<(), u32>(&mut self.store, export)
            .unwrap();
        function.call(&mut self.store, ())
    }

    fn input(&mut self, length: u32) -> u32 {
        let function = self
            .instance
            .get_typed_func::<u32, u32>(&mut self.store, "input")
            .unwrap();
        function.call(&mut self.store, length).unwrap()
    }

    fn write(&mut self, input: &[u8]) {
        let place = self.input(input.len() as u32);
        assert_ne!(place, 0);
        self.memory.write(&mut self.store, place as usize, input).unwrap();
    }

    fn output(&mut self) -> String {
        let (place, length) = (self.get("output").unwrap(), self.get("output_length").unwrap());
        let bytes = &self.memory.data(&self.store)[place as usize..][..length as usize];
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    fn hook(&mut self, hook: Hook) -> (u32, String) {
        let name = HOOKS.iter().find(|(known, _)| *known == hook).unwrap().1;
        let code = self.get(name).unwrap();
        (code, self.output())
    }

    fn ask(&mut self, hook: Hook, input: &[u8]) -> (u32, String) {
        self.write(input);
        self.hook(hook)
    }

    fn memory_size(&self) -> usize {
        self.memory.data_size(&self.store)
    }
}

/// What the rules say natively, as the module gives it.
fn natively(hook: Hook, input: &[u8]) -> (u32, String) {
    let answer = pipefold_core::answer(hook, input.to_vec());
    (answer.code as u32, answer.json)
}

#[test]
fn the_module_imports_nothing_and_exports_the_abi() {
    let (mut imports, mut exports, mut custom) = (0, Vec::new(), 0);
    for payload in Parser::new(0).parse_all(MODULE) {
        match payload.unwrap() {
            Payload::ImportSection(section) => imports += section.count(),
            Payload::ExportSection(section) => exports.extend(section.into_iter().map(|export| export.unwrap().name)),
            Payload::CustomSection(_) => custom += 1,
            _ => {}
        }
    }
    assert_eq!((imports, custom), (0, 0));
    exports.sort_unstable();
    let abi = [
        "abi_version",
        "finish",
        "input",
        "memory",
        "merge",
        "output",
        "output_length",
        "start",
        "step",
    ];
    assert_eq!(exports, abi);
    for export in abi.iter().filter(|name| **name != "memory") {
        let Some(wasmtime::ExternType::Func(function)) = COMPILED.get_export(export) else {
            panic!("{export} is no function");
        };
        let parameters = if *export == "input" { "(i32)->i32" } else { "()->i32" };
        let names = |types: Vec<wasmtime::ValType>| types.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let shape = format!(
            "({})->{}",
            names(function.params().collect()),
            names(function.results().collect())
        );
        assert_eq!(shape, parameters, "{export}");
    }
    assert_eq!(Host::new().get("abi_version").unwrap(), 1);
}

#[test]
fn any_runtime_of_webassembly_2_takes_the_module() {
    let used = WasmFeatures::WASM1
        | WasmFeatures::BULK_MEMORY
        // The linker writes indices of tables as numbers of five bytes.
        | WasmFeatures::REFERENCE_TYPES
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::SATURATING_FLOAT_TO_INT;
    Validator::new_with_features(used).validate_all(MODULE).unwrap();
    let host = Host::new();
    let memory = host.memory.ty(&host.store);
    // A fresh instance clears little, and places are positive as signed numbers.
    assert!(memory.minimum() <= 4 && memory.maximum() == Some(512 << 20 >> 16));
}

#[test]
fn an_instance_answers_once_or_many_times() {
    let step = br#"{"pipeline_name":"a","pipeline_source":"b","reference_id":"c","step":"d"}"#;
    let mut host = Host::new();
    assert_eq!((host.get("output_length").unwrap(), host.output()), (0, String::new()));
    for _ in 0..3 {
        assert_eq!(
            host.ask(Hook::Step, step),
            (Code::Verdict as u32, r#"{"verdict":"hold"}"#.into())
        );
        let (code, violations) = host.ask(Hook::Merge, b"[{}]");
        assert_eq!(code, Code::Violations as u32);
        assert!(
            violations
                .starts_with(r#"{"violations":[{"fault":"required_params_missing","field":"pipeline_name","message":"#)
        );
        let error = r#"{"error":"input: `stp` is no field of a notification; did you mean step?"}"#;
        assert_eq!(
            host.ask(Hook::Start, br#"{"stp":1}"#),
            (Code::Error as u32, error.into())
        );
    }
}
