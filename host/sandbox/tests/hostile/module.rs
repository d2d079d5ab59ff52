//! Core modules of which every part can be changed, wrapped into components.

use crate::guests::{component, component_in};
use wit_component::StringEncoding;

const HOOKS: &str = "pipefold:ci/hooks@0.2.0";

/// Allocates memory from 64 KiB upwards and grows it as needed.
pub const HONEST_REALLOC: &str = "(local $at i32)
    (local.set $at (i32.and
        (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
    (global.set $free (i32.add (local.get $at) (local.get $new)))
    (if (i32.gt_u (global.get $free) (i32.mul (memory.size) (i32.const 65536)))
        (then (drop (memory.grow (i32.add (i32.div_u (local.get $new) (i32.const 65536)) (i32.const 1))))))
    (local.get $at)";

/// A source whose `translate` has this body: address and number of the headers, of the body's bytes at 2 and 3, of the time's bytes and of the
/// settings, to the address of the answer.
pub fn source(realloc: &str, translate: &str, more: &str) -> Vec<u8> {
    let module = format!(
        r#"(module
            (memory (export "memory") 2)
            (global $free (mut i32) (i32.const 65536))
            (func $realloc (export "cabi_realloc") (param $old i32) (param $size i32) (param $align i32) (param $new i32) (result i32)
                {realloc})
            {more}
            (func (export "pipefold:ci/translating@0.2.0#translate")
                (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32) {translate}))"#
    );
    component(&module, "source")
}

/// The answer `hold`.
pub const HOLD: &str =
    "(i32.store8 (i32.const 1024) (i32.const 0)) (i32.store8 (i32.const 1032) (i32.const 1)) (i32.const 1024)";

/// The parts of a guest, in the text format. By default every hook answers `hold` and `merge` traps.
pub struct Module {
    /// Body of `cabi_realloc`: `$old`, `$size`, `$align`, `$new` to the address; `$free` is a mutable global.
    pub realloc: String,
    /// Bodies of the hooks: the address of the notification, or address and length of the history, to the address of the answer.
    pub pipeline_start: String,
    pub step: String,
    pub pipeline_finish: String,
    /// Body of `merge`, which a policy does not have.
    pub merge: String,
    /// Pages of the memory at first.
    pub pages: u32,
    /// Fields added to the module.
    pub more: String,
    /// Imports, beside the next link's hooks that a policy has as `$next`, `$next_start` and `$next_finish`.
    pub imports: String,
}

impl Default for Module {
    fn default() -> Self {
        Self {
            realloc: HONEST_REALLOC.into(),
            pipeline_start: HOLD.into(),
            step: HOLD.into(),
            pipeline_finish: HOLD.into(),
            merge: "unreachable".into(),
            pages: 2,
            more: String::new(),
            imports: String::new(),
        }
    }
}

impl Module {
    /// A guest whose `step` has this body; `more` is added to the module.
    pub fn step(step: &str, more: &str) -> Self {
        Self {
            step: step.into(),
            more: more.into(),
            ..Self::default()
        }
    }

    /// A whole plugin.
    pub fn plugin(&self) -> Vec<u8> {
        self.plugin_in(StringEncoding::UTF8)
    }

    /// A whole plugin whose texts are in this encoding.
    pub fn plugin_in(&self, encoding: StringEncoding) -> Vec<u8> {
        let merge = format!(
            r#"(func (export "pipefold:ci/merging@0.2.0#merge") (param i32 i32) (result i32) {})"#,
            self.merge
        );
        component_in(&self.text("", &merge), "plugin", encoding)
    }

    /// A policy, which can call the next plugin.
    pub fn policy(&self) -> Vec<u8> {
        let next = format!(
            r#"(import "{HOOKS}" "step" (func $next (param i32 i32)))
            (import "{HOOKS}" "pipeline-start" (func $next_start (param i32 i32)))
            (import "{HOOKS}" "pipeline-finish" (func $next_finish (param i32 i32 i32)))"#
        );
        let world = if self.imports.is_empty() {
            "policy"
        } else {
            "policy-with-host"
        };
        component(&self.text(&next, ""), world)
    }

    /// The core module.
    fn text(&self, next: &str, exports: &str) -> String {
        let Self {
            realloc,
            pipeline_start,
            step,
            pipeline_finish,
            pages,
            more,
            imports,
            ..
        } = self;
        format!(
            r#"(module
            {next}
            {imports}
            (memory (export "memory") {pages})
            (global $free (mut i32) (i32.const 65536))
            (func $realloc (export "cabi_realloc") (param $old i32) (param $size i32) (param $align i32) (param $new i32) (result i32)
                {realloc})
            {more}
            (func (export "{HOOKS}#pipeline-start") (param i32) (result i32) {pipeline_start})
            (func (export "{HOOKS}#step") (param i32) (result i32) {step})
            (func (export "{HOOKS}#pipeline-finish") (param i32 i32) (result i32) {pipeline_finish})
            {exports})"#
        )
    }
}
