//! Compiled code in an executable: it is embedded in a copy of this test program, which is then started.

use crate::place::Place;
use pipefold_sandbox::{
    BUILT_IN_POLICY_SHA256, Compiler, DEFAULT_COMPONENT_SHA256, Deadline, Delivery, EmbedError, Grants, Limits,
    LoadError, Notification, Policy, SOURCES_SHA256, Sandbox, TranslateError, built_in_policy_is_embedded,
    default_is_embedded, embed,
};
use std::{
    fs::{self, File},
    os::unix::fs::{FileExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, LazyLock},
};
use tempfile::TempDir;

/// The variable that makes the test below print the source of its code.
const VARIABLE: &str = "PIPEFOLD_TEST_SAYS";

/// Offsets within a slot.
const COMPONENT: usize = 32;
const TARGET: usize = 96;
const SIZE: usize = 160;
const LENGTH: usize = 168;
const CODE: usize = 4096;

#[test]
fn prints_the_source_of_its_code() {
    if std::env::var_os(VARIABLE).is_none() {
        return;
    }
    let sandbox = Sandbox::new(Limits::default()).unwrap();
    let loaded = sandbox
        .default_plugin_by(None, &Compiler::Here, &Deadline::never())
        .unwrap();
    let run = Notification {
        pipeline_name: Some("build".into()),
        pipeline_source: Some("Tekton".into()),
        reference_id: Some("r/1".into()),
        started_at: Some("2025-01-01T12:05:00Z".into()),
        ..Notification::default()
    };
    assert!(loaded.plugin.merge(&[run]).is_ok());
    let sources = sandbox
        .built_in_sources_by(None, &Compiler::Here, &Deadline::never())
        .unwrap();
    // A second engine in this process has a copy of the code.
    let again = Sandbox::new(Limits::default())
        .unwrap()
        .built_in_sources_by(None, &Compiler::Here, &Deadline::never())
        .unwrap();
    for source in [&sources.source, &again.source] {
        let refused = source.translate(&Delivery::default());
        assert!(matches!(refused, Err(TranslateError::Refused(_))), "{refused:?}");
    }
    println!(
        "embedded {} compiled {} notes {:?}.",
        default_is_embedded(),
        loaded.compiled,
        loaded.notes
    );
    println!("sources compiled {} notes {:?}.", sources.compiled, sources.notes);
    let policy = Policy {
        grants: Grants {
            config: Some(Arc::default()),
            ..Grants::default()
        },
        ..Policy::new("rules")
    };
    let never = Deadline::never();
    // Its own check runs, and misses the rules.
    let checked = sandbox.built_in_policy_by(&policy, None, &Compiler::Here, &never);
    assert!(matches!(checked, Err(LoadError::Settings { .. })));
    println!("policy embedded [{}].", built_in_policy_is_embedded());
}

/// A copy of this test program with embedded code.
struct Copy {
    folder: TempDir,
    /// The offset of the default component's slot.
    slot: usize,
}

/// The offset of a component's slot in an executable. The whole mark must not be in this test program once more.
fn slot_of(executable: &[u8], sha256: &str) -> usize {
    let marks = memchr::memmem::find_iter(executable, "pipefold compiled code slot ");
    let is_its = |at: &usize| executable[at + COMPONENT..].starts_with(sha256.as_bytes());
    let slots: Vec<usize> = marks.filter(is_its).collect();
    assert_eq!(slots.len(), 1, "{slots:?}");
    slots[0]
}

/// This test program with embedded code. Its components are compiled once for all tests.
static EMBEDDED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let (this, copy) = (std::env::current_exe().unwrap(), folder.path().join("copy"));
    let made = embed(&this, &copy).unwrap();
    assert!(made.target.starts_with(std::env::consts::ARCH));
    assert!(made.size > 100_000);
    let (before, after) = (fs::read(this).unwrap(), fs::read(copy).unwrap());
    assert_eq!(before.len(), after.len());
    after
});

impl Copy {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy");
        fs::write(&copy, &*EMBEDDED).unwrap();
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
        let slot = slot_of(&EMBEDDED, DEFAULT_COMPONENT_SHA256);
        Self { folder, slot }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("copy")
    }

    /// Overwrites a part of its slot.
    fn put(&self, offset: usize, bytes: &[u8]) {
        let file = File::options().write(true).open(self.path()).unwrap();
        file.write_all_at(bytes, (self.slot + offset) as u64).unwrap();
    }

    fn byte(&self, offset: usize) -> u8 {
        let mut byte = [0];
        let file = File::open(self.path()).unwrap();
        file.read_exact_at(&mut byte, (self.slot + offset) as u64).unwrap();
        byte[0]
    }

    /// The source of the default component's code.
    fn says(&self) -> String {
        self.says_after("embedded ")
    }

    /// The source of the code of the built-in sources.
    fn says_of_sources(&self) -> String {
        self.says_after("sources ")
    }

    fn says_after(&self, beginning: &str) -> String {
        let output = Command::new(self.path())
            .args(["--exact", "embed::prints_the_source_of_its_code", "--nocapture"])
            .env_clear()
            .env(VARIABLE, "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let said = text.split_once(beginning).unwrap_or_else(|| panic!("{text}")).1;
        said.split_once("].").unwrap().0.to_owned() + "]"
    }

    fn embed_again(&self) -> Result<Vec<u8>, String> {
        let again = self.folder.path().join("again");
        embed(&self.path(), &again).map_err(|error| {
            let folder = self.folder.path().display().to_string();
            error.to_string().replace(&folder, "FOLDER")
        })?;
        Ok(fs::read(again).unwrap())
    }
}

#[test]
fn an_executable_runs_the_code_in_it_and_never_code_that_is_damaged() {
    let copy = Copy::new();
    assert_eq!(copy.says(), "true compiled false notes []");
    let note = "the compiled code in this executable is damaged; the default component is compiled instead; to mend that, \
                install pipefold again";
    for offset in [LENGTH + 1, CODE, CODE + 100_000] {
        let byte = copy.byte(offset);
        copy.put(offset, &[byte ^ 1]);
        assert_eq!(
            copy.says(),
            format!("false compiled true notes [{note:?}]"),
            "byte {offset}"
        );
        copy.put(offset, &[byte]);
    }
    assert_eq!(copy.says(), "true compiled false notes []");
}

#[test]
fn the_code_of_the_built_in_sources_is_embedded_beside_the_rules() {
    let copy = Copy::new();
    assert_eq!(copy.says_of_sources(), "compiled false notes []");
    let sources = Copy {
        slot: slot_of(&fs::read(copy.path()).unwrap(), SOURCES_SHA256),
        ..copy
    };
    // A part of it is free, as other processors' code takes up to a third more.
    let length = u32::from_le_bytes([0, 1, 2, 3].map(|at| sources.byte(LENGTH + at)));
    let size = u32::from_le_bytes([0, 1, 2, 3].map(|at| sources.byte(SIZE + at)));
    assert!(length > 10_000 && length / 3 * 4 < size, "{length} of {size} bytes");
    sources.put(CODE + 5000, &[sources.byte(CODE + 5000) ^ 1]);
    let note = "the compiled code in this executable is damaged; the component of the built-in sources is compiled instead; to mend \
                that, install pipefold again";
    assert_eq!(sources.says_of_sources(), format!("compiled true notes [{note:?}]"));
    assert_eq!(sources.says(), "true compiled false notes []");
}

#[test]
fn the_code_of_the_built_in_policy_is_embedded_beside_the_rules() {
    let copy = Copy::new();
    assert_eq!(copy.says_after("policy embedded "), "[true]");
    let policy = Copy {
        slot: slot_of(&fs::read(copy.path()).unwrap(), BUILT_IN_POLICY_SHA256),
        ..copy
    };
    // A part of it is free, as other processors' code takes up to a third more.
    let length = u32::from_le_bytes([0, 1, 2, 3].map(|at| policy.byte(LENGTH + at)));
    let size = u32::from_le_bytes([0, 1, 2, 3].map(|at| policy.byte(SIZE + at)));
    assert!(length > 10_000 && length / 3 * 4 < size, "{length} of {size} bytes");
    policy.put(CODE + 5000, &[policy.byte(CODE + 5000) ^ 1]);
    assert_eq!(policy.says_after("policy embedded "), "[false]");
}

#[test]
fn the_same_executable_gets_the_same_bytes_also_in_its_own_place() {
    let copy = Copy::new();
    let first = fs::read(copy.path()).unwrap();
    assert_eq!(copy.embed_again().unwrap(), first);
    // Damage is repaired, and modes stay.
    copy.put(CODE, b"damaged");
    fs::set_permissions(copy.path(), fs::Permissions::from_mode(0o750)).unwrap();
    embed(&copy.path(), &copy.path()).unwrap();
    assert_eq!(fs::read(copy.path()).unwrap(), first);
    assert_eq!(copy.path().metadata().unwrap().permissions().mode() & 0o7777, 0o750);
    let names = fs::read_dir(copy.folder.path()).unwrap().count();
    assert_eq!(names, 2, "nothing but the copy and the one made from it");
}

#[test]
fn the_code_is_for_the_target_that_the_executable_names() {
    let copy = Copy::new();
    let target = |name: &str| {
        let mut field = [0; 64];
        field[..name.len()].copy_from_slice(name.as_bytes());
        copy.put(TARGET, &field);
    };
    let musl = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    target(&musl);
    // Code for another target than the slot now names.
    assert!(copy.says().starts_with("false compiled true"));
    assert!(copy.embed_again().is_ok());
    target("no-such-machine");
    assert!(
        copy.embed_again()
            .unwrap_err()
            .starts_with("cannot compile for no-such-machine: ")
    );
    let other = if cfg!(target_arch = "x86_64") {
        "aarch64"
    } else {
        "x86_64"
    };
    target(&format!("{other}-unknown-linux-musl"));
    let embedded = copy.embed_again();
    assert_eq!(embedded.is_ok(), cfg!(feature = "cross"), "{embedded:?}");
    if let Err(error) = embedded {
        assert!(error.ends_with("use a build with the feature `cross`"), "{error}");
    }
}

#[test]
fn other_files_are_refused_by_name() {
    let copy = Copy::new();
    let digit = copy.byte(COMPONENT);
    copy.put(COMPONENT, &[if digit == b'0' { b'1' } else { b'0' }]);
    assert_eq!(
        copy.embed_again().unwrap_err(),
        "FOLDER/copy: from another version of pipefold, or with other features; embed with the same version and features"
    );
    let output = copy.folder.path().join("output");
    let refused = |executable: &Path| embed(executable, &output).unwrap_err();
    assert!(matches!(
        refused(Path::new("/bin/sh")),
        EmbedError::Slots { slots: 0, .. }
    ));
    assert!(matches!(refused(Path::new("/dev/null")), EmbedError::Read { .. }));
    assert!(matches!(
        refused(&copy.folder.path().join("none")),
        EmbedError::Read { .. }
    ));
    assert!(!output.exists());
    let unwritable = copy.folder.path().join("none").join("output");
    let this = std::env::current_exe().unwrap();
    assert!(matches!(
        embed(&this, &unwritable).unwrap_err(),
        EmbedError::Write { .. }
    ));
}

#[test]
fn an_executable_without_code_in_it_takes_it_from_the_cache() {
    let place = Place::new();
    let load = |deadline: &Deadline| {
        place
            .sandbox
            .default_plugin_by(Some(&place.cache()), &Compiler::Here, deadline)
    };
    let over = Deadline::never();
    over.set(std::time::Instant::now());
    let error = load(&over).err().unwrap();
    assert!(error.is_unfinished());
    assert_eq!(
        error.to_string(),
        "plugin default: still compiling; to have it ready ahead of builds, run `pipefold component compile`"
    );
    assert!(!place.path("cache").exists() || place.entries().is_empty());

    let never = Deadline::never();
    assert!(load(&never).unwrap().compiled);
    assert_eq!(place.entries().len(), 1);
    assert!(!load(&never).unwrap().compiled);
    let if_compiled = place
        .sandbox
        .default_plugin_if_compiled(Some(&place.cache()), &Compiler::Here);
    assert!(if_compiled.unwrap().is_some());
    let precompiled = place.sandbox.precompile_default(&place.cache(), &Compiler::Here);
    assert!(!precompiled.unwrap().compiled);

    let entry = File::options().write(true).open(&place.entries()[0]).unwrap();
    entry.write_all_at(b"damaged", 1000).unwrap();
    let again = load(&never).unwrap();
    assert!(again.compiled);
    assert!(
        again.notes[0].ends_with("is damaged; the component is compiled again"),
        "{:?}",
        again.notes
    );
}
