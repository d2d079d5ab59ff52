//! The checks that decide whether a component can be loaded here, before anything is compiled. `component inspect`, `component compile` and
//! loading share them.

use crate::{
    builtin::{self, Builtin},
    error::LoadError,
    grants::{self, Grants, Need},
    outline,
    types::{CHECKING, HOOKS, MERGING, TRANSLATING, version, version_of},
};
use serde::Serialize;
use wasmparser::{
    Validator, WasmFeatures,
    component_types::{ComponentEntityType, ComponentInstanceTypeId},
    types::{Types, TypesRef},
};
use wasmtime::{Engine, component::Component};

/// The role of a component.
#[derive(Clone, Copy, Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The plugin at the end of a chain, which needs no other and exports the merge.
    Plugin,
    /// A policy, which is called before the next plugin.
    Policy,
    /// A source, which translates webhook deliveries and imports nothing.
    Source,
}

impl Role {
    /// The role's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plugin => "plugin",
            Self::Policy => "policy",
            Self::Source => "source",
        }
    }

    /// The role and a component's name, as in messages.
    pub(crate) fn title(self, name: &str) -> String {
        format!("{} {name}", self.as_str())
    }
}

/// The result of the checks of a component.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Fit {
    /// Versions of the contract in its imports and exports; none if it is unrelated to pipefold.
    pub wit_versions: Vec<String>,
    /// The role in which it would load.
    pub role: Role,
    /// True if it loads with the grants given.
    pub loads: bool,
    /// Names of the grants that it needs.
    pub grants: Vec<&'static str>,
    /// Faults that keep it from loading with any grants.
    pub obstacles: Vec<String>,
}

impl Fit {
    /// The obstacles as an error.
    pub(crate) fn check(&self, title: &str) -> Result<(), LoadError> {
        if self.obstacles.is_empty() {
            return Ok(());
        }
        Err(LoadError::Code {
            plugin: title.into(),
            reason: self.obstacles.join("; "),
        })
    }
}

/// The interface that the host calls.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Face {
    /// Of plugins and policies.
    Hooks,
    /// Of sources.
    Translating,
}

impl Face {
    /// The interface of a component with these exports: those of other versions count as well, so that they are named.
    fn of(exports: &[&str]) -> Self {
        match Self::Translating.is_among(exports) && !Self::Hooks.is_among(exports) {
            true => Self::Translating,
            false => Self::Hooks,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Hooks => HOOKS,
            Self::Translating => TRANSLATING,
        }
    }

    fn functions(self) -> &'static [&'static str] {
        match self {
            Self::Hooks => &["pipeline-start", "step", "pipeline-finish"],
            Self::Translating => &["translate"],
        }
    }

    /// Returns true if the interface is exported, in any version.
    fn is_among(self, exports: &[&str]) -> bool {
        let plain = self.name().split('@').next();
        let is_it = |export: &&str| version_of(export).is_some() && export.split('@').next() == plain;
        exports.iter().any(is_it)
    }

    /// The component with the right types of the interface; none if this program calls no such component.
    fn model(self) -> Option<&'static Builtin> {
        match self {
            Self::Hooks => Some(&builtin::DEFAULT),
            #[cfg(feature = "sources")]
            Self::Translating => Some(&builtin::SOURCES),
            #[cfg(not(feature = "sources"))]
            Self::Translating => None,
        }
    }
}

/// Checks a component with the given names of imports and exports.
pub fn examine(component: &[u8], imports: &[&str], exports: &[&str]) -> Fit {
    examine_as(Face::of(exports), component, imports, exports)
}

fn examine_as(face: Face, component: &[u8], imports: &[&str], exports: &[&str]) -> Fit {
    let mut fit = by_name(face, imports, exports);
    // The names mean little in a file that is damaged or needs another engine.
    match outline::check(component) {
        Err(refused) => fit.obstacles = vec![refused.to_string()],
        Ok(()) => match types(component, face, fit.obstacles.is_empty()) {
            Ok(obstacles) => fit.obstacles.extend(obstacles),
            Err(error) => fit.obstacles = vec![one_line(&error.to_string())],
        },
    }
    fit.loads = fit.obstacles.is_empty();
    fit
}

/// The imports that a component may have when it is loaded.
#[derive(Clone, Copy)]
pub enum Admission<'a> {
    /// A plugin: none.
    Plugin,
    /// A policy: the next plugin, and its grants.
    Policy(&'a Grants),
    /// A source: none.
    #[cfg(feature = "sources")]
    Source,
    /// All that can be granted, as the grants are not known yet.
    Any,
}

/// Checks that a component may be loaded, before it is compiled.
pub fn admit(title: &str, component: &[u8], admission: Admission<'_>) -> Result<(), LoadError> {
    let (imports, exports) = outline::names(component);
    admission.check(title, &imports)?;
    examine_as(admission.face(&exports), component, &imports, &exports).check(title)
}

/// Checks a component that is compiled, perhaps by another version of pipefold.
pub fn admit_compiled(
    title: &str,
    component: &Component,
    engine: &Engine,
    admission: Admission<'_>,
) -> Result<(), LoadError> {
    let ty = component.component_type();
    let imports: Vec<&str> = ty.imports(engine).map(|(name, _)| name).collect();
    let exports: Vec<&str> = ty.exports(engine).map(|(name, _)| name).collect();
    admission.check(title, &imports)?;
    by_name(admission.face(&exports), &imports, &exports).check(title)
}

impl Admission<'_> {
    fn check(self, title: &str, imports: &[&str]) -> Result<(), LoadError> {
        let imports = imports.iter().copied();
        match self {
            Self::Plugin => Grants::default().check(title, imports, false),
            Self::Policy(grants) => grants.check(title, imports, true),
            // The checks of a source name its imports.
            #[cfg(feature = "sources")]
            Self::Source => Ok(()),
            Self::Any => Ok(()),
        }
    }

    /// The interface that the component is loaded for.
    fn face(self, exports: &[&str]) -> Face {
        match self {
            Self::Plugin | Self::Policy(_) => Face::Hooks,
            #[cfg(feature = "sources")]
            Self::Source => Face::Translating,
            Self::Any => Face::of(exports),
        }
    }
}

/// The result that follows from the names alone.
fn by_name(face: Face, imports: &[&str], exports: &[&str]) -> Fit {
    let mut obstacles = Vec::new();
    let wit_versions = wit_versions(imports.iter().chain(exports));
    let others: Vec<&str> = wit_versions
        .iter()
        .map(String::as_str)
        .filter(|found| *found != version())
        .collect();
    if !others.is_empty() {
        obstacles.push(format!(
            "it is made for version {} of the contract pipefold:ci, and this pipefold speaks {}; build it with the wit of that version",
            others.join(" and "),
            version()
        ));
    }
    let (role, grants) = match face {
        Face::Hooks => of_hooks(imports, exports, &mut obstacles),
        Face::Translating => {
            obstacles.extend(of_source(imports));
            (Role::Source, Vec::new())
        }
    };
    // Another version is reported above.
    if !face.is_among(exports) {
        obstacles.push(format!("it does not export {}", face.name()));
    }
    Fit {
        wit_versions,
        role,
        loads: obstacles.is_empty(),
        grants,
        obstacles,
    }
}

/// The role of a component with hooks, and the grants that it needs.
fn of_hooks(imports: &[&str], exports: &[&str], obstacles: &mut Vec<String>) -> (Role, Vec<&'static str>) {
    let mut grants = Vec::new();
    let mut is_policy = !exports.contains(&MERGING);
    for import in imports {
        match grants::need(import) {
            Need::Nothing => {}
            Need::Next => is_policy = true,
            Need::Grant(grant) => {
                // Only policies are granted anything.
                is_policy = true;
                if !grants.contains(&grant) {
                    grants.push(grant);
                }
            }
            Need::OtherVersion => is_policy = true,
            Need::Unknown(reason) => obstacles.push(format!("it imports {import}; {reason}")),
        }
    }
    (if is_policy { Role::Policy } else { Role::Plugin }, grants)
}

/// The obstacles for a source by its imports.
fn of_source(imports: &[&str]) -> Option<String> {
    if Face::Translating.model().is_none() {
        return Some("it is a source, for collectors; this build of pipefold has no collector".into());
    }
    let is_other = |import: &&&str| !matches!(grants::need(import), Need::Nothing | Need::OtherVersion);
    let first = imports.iter().find(is_other)?;
    let more = match imports.iter().filter(is_other).count() - 1 {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!(
        "it imports {first}{more}; a source is granted nothing, so build it without imports"
    ))
}

fn wit_versions<'a>(names: impl Iterator<Item = &'a &'a str>) -> Vec<String> {
    let mut versions: Vec<String> = names.filter_map(|name| version_of(name)).map(str::to_owned).collect();
    versions.sort();
    versions.dedup();
    versions
}

/// The WebAssembly features of the engine (see `engine_config`): wasmtime's defaults, without those that need a garbage collector, threads or
/// concurrent calls. A component that needs more is refused before it is compiled.
fn features() -> WasmFeatures {
    let without = WasmFeatures::GC_TYPES | WasmFeatures::EXCEPTIONS | WasmFeatures::THREADS | WasmFeatures::CM_ASYNC;
    (WasmFeatures::WASM3 | WasmFeatures::COMPONENT_MODEL) - without
}

/// Validates the whole file as the engine does. If `compare`, also compares the types of the interface, and returns the differences.
fn types(component: &[u8], face: Face, compare: bool) -> Result<Vec<String>, wasmparser::BinaryReaderError> {
    let mut validator = Validator::new_with_features(features());
    let Some(model) = face.model().filter(|_| compare) else {
        return validator.validate_all(component).map(|_| Vec::new());
    };
    // Types can be compared only within one validator.
    let ours = validator.validate_all(model.bytes)?;
    validator.reset();
    let theirs = validator.validate_all(component)?;
    let interface = face.name();
    let exports_checking = theirs.as_ref().component_item_for_export(CHECKING).is_some();
    let checking = FunctionTypes::exports(&theirs, CHECKING);
    let ours = FunctionTypes::exports(&ours, interface);
    let theirs = (
        FunctionTypes::exports(&theirs, interface),
        FunctionTypes::imports(&theirs, interface),
    );
    let (mut absent, mut other, mut imported) = (Vec::new(), Vec::new(), Vec::new());
    for &name in face.functions() {
        let Some(right) = ours.function(name) else { continue };
        match theirs.0.function(name) {
            None => absent.push(name),
            Some(found) if !is_subtype(found, &theirs.0, right, &ours) => other.push(name),
            Some(_) => {}
        }
        if let Some(wanted) = theirs.1.function(name)
            && !is_subtype(right, &ours, wanted, &theirs.1)
        {
            imported.push(name);
        }
    }
    let all = [
        ("it exports", "without", absent),
        ("it exports", "with another type of", other),
        ("it imports", "with another type of", imported),
    ];
    let faults = all.into_iter().filter(|(_, _, names)| !names.is_empty());
    let mut faults: Vec<String> = faults
        .map(|(does, how, names)| format!("{does} {interface} {how} {}", names.join(", ")))
        .collect();
    if face == Face::Hooks && exports_checking {
        validator.reset();
        let model = validator.validate_all(builtin::POLICY.bytes)?;
        let model = FunctionTypes::exports(&model, CHECKING);
        faults.extend(checking_fault(&checking, &model));
    }
    Ok(faults)
}

/// The fault of an export of the interface `checking`, which a policy need not have.
fn checking_fault(theirs: &FunctionTypes<'_>, model: &FunctionTypes<'_>) -> Option<String> {
    const CHECK: &str = "check";
    let how = match (theirs.function(CHECK), model.function(CHECK)) {
        (None, _) => "without",
        (Some(found), Some(right)) if !is_subtype(found, theirs, right, model) => "with another type of",
        _ => return None,
    };
    Some(format!("it exports {CHECKING} {how} {CHECK}"))
}

fn is_subtype(
    one: &ComponentEntityType,
    of_one: &FunctionTypes<'_>,
    other: &ComponentEntityType,
    of_other: &FunctionTypes<'_>,
) -> bool {
    ComponentEntityType::is_subtype_of(one, of_one.types, other, of_other.types)
}

/// The types of an interface's functions that a component exports or imports.
struct FunctionTypes<'a> {
    types: TypesRef<'a>,
    interface: Option<ComponentInstanceTypeId>,
}

impl<'a> FunctionTypes<'a> {
    fn exports(types: &'a Types, interface: &str) -> Self {
        let item = types.as_ref().component_item_for_export(interface);
        Self::of(types.as_ref(), item.map(|item| item.ty))
    }

    fn imports(types: &'a Types, interface: &str) -> Self {
        let item = types.as_ref().component_item_for_import(interface);
        Self::of(types.as_ref(), item.map(|item| item.ty))
    }

    fn of(types: TypesRef<'a>, item: Option<ComponentEntityType>) -> Self {
        let interface = match item {
            Some(ComponentEntityType::Instance(interface)) => Some(interface),
            _ => None,
        };
        Self { types, interface }
    }

    fn function(&self, name: &str) -> Option<&ComponentEntityType> {
        match self.types.get(self.interface?)?.exports.get(name).map(|item| &item.ty) {
            Some(function @ ComponentEntityType::Func(_)) => Some(function),
            _ => None,
        }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
