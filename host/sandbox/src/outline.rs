//! Checks of a component's outline before it is compiled: that it is one, and that the size of an instance is bounded.
//!
//! A limiter sees the memories and tables of an instance, but not the engine's own data: each global, function and segment of a module takes
//! some bytes for each instance of that module, and a file of 1 MB can hold a module with 100,000 of them that is instantiated a hundred
//! times. Components within components take more memory than their file to compile, by the square of the depth.

use wasmparser::{
    BinaryReaderError, ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind,
    ComponentTypeRef, ElementItems, Encoding, Instance, Parser, Payload,
};

/// Components within components. Toolchains write two levels, and composing adds one each time.
const DEEPEST: usize = 30;
/// Bytes that the engine keeps for all instances together: a guest made from Python takes about one MiB.
const MOST_KEPT: u64 = 16 << 20;

/// Names kept of each list: a real component has a handful, and a hostile file may have millions.
pub const MOST_NAMES: usize = 1000;

/// Bytes for an instance of anything, and its place in tables.
const INSTANCE: u64 = 1 << 10;
/// Bytes for a function or anything imported: a pointer to its code, one to its data, its type and one more.
const REFERENCE: u64 = 32;
/// Bytes for a global: a value of 128 bits.
const GLOBAL: u64 = 16;
/// Bytes for an item of a segment, which may also be a value of 128 bits.
const ITEM: u64 = 16;

/// The fault of a core module, with the tool that helps. Packages of that name on PyPI and npm are others.
pub const CORE_MODULE: &str =
    "a core module, not a component; make one of it: `cargo install wasm-tools`, then `wasm-tools component new`";

/// A fault that prevents compiling.
#[derive(Debug)]
pub enum Refused {
    /// The file is damaged.
    Malformed(BinaryReaderError),
    /// Another fault, as a message.
    Other(String),
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed(error) => write!(f, "the file is damaged: {error}"),
            Self::Other(reason) => f.write_str(reason),
        }
    }
}

impl From<BinaryReaderError> for Refused {
    fn from(error: BinaryReaderError) -> Self {
        Self::Malformed(error)
    }
}

/// A module or component that is being read, with the bytes that an instance of it takes.
#[derive(Default)]
struct Level {
    is_component: bool,
    kept: u64,
    /// The bytes for an instance of each of its modules, by index; `None` for a module that it does not define.
    modules: Vec<Option<u64>>,
    /// As `modules`, for its components.
    components: Vec<Option<u64>>,
}

/// Checks a file that is to be compiled.
pub fn check(file: &[u8]) -> Result<(), Refused> {
    kept(file).map(|_| ())
}

/// The bytes that the engine keeps for an instance of this component.
fn kept(file: &[u8]) -> Result<u64, Refused> {
    if file.is_empty() {
        return Err(Refused::Other("the file is empty".into()));
    }
    if !file.starts_with(b"\0asm") {
        let reason = "not a WebAssembly binary (wrong magic number); compile the text format first";
        return Err(Refused::Other(reason.into()));
    }
    let mut levels: Vec<Level> = Vec::new();
    for payload in Parser::new(0).parse_all(file) {
        let payload = payload?;
        if let Payload::Version { encoding, .. } = payload {
            open(&mut levels, encoding)?;
            continue;
        }
        let Some((level, outer)) = levels.split_last_mut() else {
            continue;
        };
        if let Payload::End(_) = payload {
            let (is_component, kept) = (level.is_component, level.kept);
            let Some(parent) = outer.last_mut() else {
                return Ok(kept);
            };
            let list = if is_component {
                &mut parent.components
            } else {
                &mut parent.modules
            };
            list.push(Some(kept));
            levels.pop();
            continue;
        }
        if level.is_component {
            level.component(&payload, outer)?;
        } else {
            level.module(&payload)?;
        }
        if level.kept > MOST_KEPT {
            return Err(Refused::Other(format!(
                "its instances have more globals, functions and segments than fit into {} MiB",
                MOST_KEPT >> 20
            )));
        }
    }
    Err(Refused::Other("the file ends too early".into()))
}

fn open(levels: &mut Vec<Level>, encoding: Encoding) -> Result<(), Refused> {
    let is_component = encoding == Encoding::Component;
    if levels.is_empty() && !is_component {
        return Err(Refused::Other(CORE_MODULE.into()));
    }
    if levels.len() >= DEEPEST {
        return Err(Refused::Other(format!(
            "it has components within components, more than {DEEPEST} deep"
        )));
    }
    levels.push(Level {
        is_component,
        kept: INSTANCE,
        ..Level::default()
    });
    Ok(())
}

impl Level {
    /// Counts a section of a core module.
    fn module(&mut self, payload: &Payload<'_>) -> Result<(), Refused> {
        let kept = match payload {
            Payload::ImportSection(section) => u64::from(section.count()) * REFERENCE,
            Payload::FunctionSection(section) => u64::from(section.count()) * REFERENCE,
            Payload::TableSection(section) => u64::from(section.count()) * REFERENCE,
            Payload::MemorySection(section) => u64::from(section.count()) * REFERENCE,
            Payload::GlobalSection(section) => u64::from(section.count()) * GLOBAL,
            Payload::DataSection(section) => u64::from(section.count()) * ITEM,
            Payload::ElementSection(section) => {
                let mut kept = 0;
                for element in section.clone() {
                    let items = match element?.items {
                        ElementItems::Functions(items) => items.count(),
                        ElementItems::Expressions(_, items) => items.count(),
                    };
                    kept += REFERENCE + u64::from(items) * ITEM;
                }
                kept
            }
            _ => 0,
        };
        self.kept = self.kept.saturating_add(kept);
        Ok(())
    }

    /// Counts a section of a component.
    fn component(&mut self, payload: &Payload<'_>, outer: &[Level]) -> Result<(), Refused> {
        match payload {
            Payload::InstanceSection(section) => {
                for instance in section.clone() {
                    if let Instance::Instantiate { module_index, .. } = instance? {
                        self.add(known(&self.modules, module_index)?);
                    }
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section.clone() {
                    if let ComponentInstance::Instantiate { component_index, .. } = instance? {
                        self.add(known(&self.components, component_index)?);
                    }
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section.clone() {
                    self.alias(&alias?, outer);
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section.clone() {
                    match import?.ty {
                        ComponentTypeRef::Module(_) => self.modules.push(None),
                        ComponentTypeRef::Component(_) => self.components.push(None),
                        _ => {}
                    }
                }
            }
            // An export is a new name and a new index.
            Payload::ComponentExportSection(section) => {
                for export in section.clone() {
                    let export = export?;
                    let list = match export.kind {
                        ComponentExternalKind::Module => &mut self.modules,
                        ComponentExternalKind::Component => &mut self.components,
                        _ => continue,
                    };
                    list.push(at(list, export.index));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn alias(&mut self, alias: &ComponentAlias<'_>, outer: &[Level]) {
        match alias {
            ComponentAlias::Outer { kind, count, index } => {
                // Zero is this component, one is the component around it.
                let level = match (*count as usize).checked_sub(1) {
                    None => Some(&*self),
                    Some(out) => outer.len().checked_sub(out + 1).and_then(|at| outer.get(at)),
                };
                match kind {
                    ComponentOuterAliasKind::CoreModule => {
                        let found = level.and_then(|level| at(&level.modules, *index));
                        self.modules.push(found);
                    }
                    ComponentOuterAliasKind::Component => {
                        let found = level.and_then(|level| at(&level.components, *index));
                        self.components.push(found);
                    }
                    _ => {}
                }
            }
            ComponentAlias::InstanceExport { kind, .. } => match kind {
                ComponentExternalKind::Module => self.modules.push(None),
                ComponentExternalKind::Component => self.components.push(None),
                _ => {}
            },
            ComponentAlias::CoreInstanceExport { .. } => {}
        }
    }

    fn add(&mut self, kept: u64) {
        self.kept = self.kept.saturating_add(kept);
    }
}

fn at(list: &[Option<u64>], index: u32) -> Option<u64> {
    list.get(index as usize).copied().flatten()
}

/// The bytes for an instance of a module or component that is defined in this component or around it.
fn known(list: &[Option<u64>], index: u32) -> Result<u64, Refused> {
    at(list, index).ok_or_else(|| {
        Refused::Other(
            "it instantiates a module or component that it is handed from elsewhere, and not defined in it".into(),
        )
    })
}

/// The names of a component's imports and exports, as far as they can be read.
pub fn names(bytes: &[u8]) -> (Vec<&str>, Vec<&str>) {
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload {
            Ok(Payload::Version { .. }) => depth += 1,
            Ok(Payload::End(_)) => depth = depth.saturating_sub(1),
            Ok(Payload::ComponentImportSection(section)) if depth == 1 => {
                let section = section.into_iter().map_while(Result::ok);
                let left = MOST_NAMES - imports.len();
                imports.extend(section.take(left).map(|import| import.name.name));
            }
            Ok(Payload::ComponentExportSection(section)) if depth == 1 => {
                let section = section.into_iter().map_while(Result::ok);
                let left = MOST_NAMES - exports.len();
                exports.extend(section.take(left).map(|export| export.name.name));
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    (imports, exports)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn result(component: &str) -> String {
        match check(&wat::parse_str(component).unwrap()) {
            Ok(()) => "fits".into(),
            Err(refused) => refused.to_string(),
        }
    }

    /// A module with this number of globals: 1024 bytes, and 16 for each.
    fn module(globals: usize) -> String {
        format!("(core module $m {})", "(global i64 (i64.const 0))".repeat(globals))
    }

    const TOO_MUCH: &str = "its instances have more globals, functions and segments than fit into 16 MiB";

    #[test]
    fn the_built_in_components_have_room() {
        for builtin in crate::builtin::all() {
            assert!(kept(builtin.bytes).unwrap() < MOST_KEPT / 100, "{}", builtin.title);
        }
    }

    #[test]
    fn each_instance_counts_and_a_module_without_one_does_not() {
        // 15 instances of a MiB each and a little, and a sixteenth.
        let fifteen = format!("{} {}", module(65_536), "(core instance (instantiate $m))".repeat(15));
        assert_eq!(result(&format!("(component {fifteen})")), "fits");
        assert_eq!(
            result(&format!("(component {fifteen} (core instance (instantiate $m)))")),
            TOO_MUCH
        );
    }

    #[test]
    fn instances_of_components_multiply() {
        let four = "(instance (instantiate $c))".repeat(4);
        let component = |globals| {
            format!(
                "(component (component $d (component $c {} (core instance (instantiate $m))) {four})
                    (instance (instantiate $d)) (instance (instantiate $d)))",
                module(globals)
            )
        };
        assert_eq!(result(&component(100_000)), "fits");
        assert_eq!(result(&component(140_000)), TOO_MUCH);
    }

    #[test]
    fn a_module_is_found_around_a_component() {
        let component = |count: usize| {
            let instances = "(core instance (instantiate $m))".repeat(count);
            format!(
                "(component {} (component $c {instances}) (instance (instantiate $c)))",
                module(100_000)
            )
        };
        assert_eq!(result(&component(9)), "fits");
        assert_eq!(result(&component(11)), TOO_MUCH);
    }

    #[test]
    fn functions_imports_and_segments_count_as_well() {
        for part in [
            "(func)",
            r#"(import "a" "b" (func))"#,
            "(elem funcref (ref.null func))",
            "(memory 0)",
            "(table 0 funcref)",
        ] {
            // 32 bytes or more for each.
            let component = |count: usize| {
                let instances = "(core instance (instantiate $m))".repeat(15);
                format!("(component (core module $m {}) {instances})", part.repeat(count))
            };
            assert_eq!(result(&component(20_000)), "fits", "{part}");
            assert_eq!(result(&component(40_000)), TOO_MUCH, "{part}");
        }
    }

    #[test]
    fn imported_modules_and_components_cannot_be_counted() {
        let reason = "it instantiates a module or component that it is handed from elsewhere, and not defined in it";
        assert_eq!(result(r#"(component (import "m" (core module $m)))"#), "fits");
        let handed = r#"(component (import "c" (component $c)) (instance (instantiate $c)))"#;
        assert_eq!(result(handed), reason);
    }
}
