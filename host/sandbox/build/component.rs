//! Builds the components' core modules: a second cargo, run from inside this build script.
//!
//! Each crate becomes a core WebAssembly module for `wasm32-unknown-unknown`, with the first of these that works:
//!
//! 1. the toolchain that builds this crate has the target;
//! 2. Debian's toolchain (`rustc-web`, `cargo-web`, `rust-web-src`, `lld-19`) builds the standard library for the target first.
//!
//! It installs nothing: `make setup` does that, as the error says. `scripts/setup.sh` checks for the same toolchains.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A target without WASI, so that the module cannot import from it.
const TARGET: &str = "wasm32-unknown-unknown";

/// A crate that becomes a core module.
#[derive(Clone, Copy)]
pub struct Core {
    /// Its directory, relative to this package's.
    pub dir: &'static str,
    pub package: &'static str,
    /// The name of the module's file.
    pub artifact: &'static str,
    /// Source files of other crates that it includes, relative to this package's directory.
    pub shared: &'static [&'static str],
    /// More arguments of `cargo rustc`.
    pub arguments: &'static [&'static str],
}

/// The inner build's profile. It replaces the workspace's release profile, which is chosen for the native command, and it is the
/// same whatever profile the outer build uses: there is one of each component, and tests run the bytes that users run.
const PROFILE: &[(&str, &str)] = &[
    // A merge runs many times, the module is compiled ahead of time: speed counts for more than a few kilobytes.
    ("opt-level", "3"),
    // Drops what chrono, alloc and core bring along unused; each kilobyte is mapped by every process.
    ("lto", "\"fat\""),
    ("codegen-units", "1"),
    // A panic is a trap; there is nothing to unwind to.
    ("panic", "\"abort\""),
    // Names and debug sections are never read, and they differ from machine to machine.
    ("strip", "true"),
    ("debug", "false"),
    ("debug-assertions", "false"),
    ("overflow-checks", "false"),
    ("incremental", "false"),
    // Macros and build scripts run once, so compiling them quickly beats compiling them well.
    ("build-override.opt-level", "0"),
];

/// The directory of Debian's programs; a toolchain of rustup may come before it in `PATH`.
const DEBIAN_BIN: &str = "/usr/bin";
const DEBIAN_PACKAGES: &str = "rustc-web cargo-web rust-web-src lld-19";
/// The linkers that will do, in order. rustc links WebAssembly with rust-lld, which Debian does not ship.
const WASM_LINKERS: &[&str] = &["wasm-ld-19", "wasm-ld"];

/// `CARGO_*` variables (beginnings of their names) that the inner cargo keeps, because they are the user's: sources of packages and use of
/// the machine. All others describe the outer build: its package, flags, profile and directories.
const KEPT: &[&str] = &[
    "CARGO_HOME",
    "CARGO_NET_",
    "CARGO_HTTP_",
    "CARGO_REGISTR",
    "CARGO_SOURCE_",
    "CARGO_TERM_",
    "CARGO_BUILD_JOBS",
];

/// Variables, besides `CARGO_*` and `RUSTC*`, that cargo, clippy or make set for the outer build. Two inner builds that differ in
/// them would not share their results; flags meant for the host would break the target; make's job server is not ours to wait for.
const OUTER: &[&str] = &[
    "RUSTDOC",
    "RUSTFLAGS",
    "RUSTDOCFLAGS",
    "CLIPPY_ARGS",
    "CLIPPY_CONF_DIR",
    "MAKEFLAGS",
    "MFLAGS",
    "MAKELEVEL",
    "OUT_DIR",
    "TARGET",
    "HOST",
    "NUM_JOBS",
    "OPT_LEVEL",
    "PROFILE",
    "DEBUG",
];

/// Builds the core modules into `out_dir`, as copies that no other build writes to.
///
/// `here` is this package's directory, `wit_dir` has the contract that the crates are generated from. Makes cargo run the build script again
/// when one of their inputs changes. The inner build keeps its results beside the outer ones, for all profiles, and never changes
/// `Cargo.lock`.
///
/// # Errors
/// The missing tool and the command that installs it; or a failure of the inner build, whose messages are on stderr.
pub fn build(here: &Path, cores: &[Core], wit_dir: &Path, out_dir: &Path) -> Result<(), String> {
    let root = workspace_root(here)?;
    // The workspace's manifest has the dependencies' features, its lock file their versions.
    let mut inputs = vec![wit_dir.to_path_buf(), root.join("Cargo.toml"), root.join("Cargo.lock")];
    for core in cores {
        let dir = here.join(core.dir);
        inputs.extend([dir.join("src"), dir.join("Cargo.toml")]);
        inputs.extend(core.shared.iter().map(|shared| here.join(shared)));
    }
    for input in inputs {
        println!("cargo:rerun-if-changed={}", input.display());
    }

    let toolchain = Toolchain::find(&root)?;
    let target_dir = shared_target_dir(out_dir);
    for core in cores {
        let status = toolchain.build(&root, core, &target_dir).status().map_err(|error| {
            format!(
                "cannot start `{}` to build the components: {error}",
                toolchain.cargo.display()
            )
        })?;
        if !status.success() {
            return Err(format!(
                "building {} for {TARGET} failed ({status}); the messages of `{}` are on stderr",
                core.package,
                toolchain.cargo.display()
            ));
        }
        let built = target_dir.join(TARGET).join("release").join(core.artifact);
        let module = out_dir.join(core.artifact);
        fs::copy(&built, &module)
            .map_err(|error| format!("cannot copy {} to {}: {error}", built.display(), module.display()))?;
    }
    Ok(())
}

/// A cargo and a rustc that can build for [`TARGET`].
struct Toolchain {
    cargo: PathBuf,
    rustc: PathBuf,
    /// The linker, if the standard library must be built too: such a toolchain has no linker of its own.
    build_std_with: Option<&'static str>,
}

impl Toolchain {
    fn find(root: &Path) -> Result<Self, String> {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")).into();
        let rustc: PathBuf = env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc")).into();
        if has_target(&rustc) {
            return Ok(Self {
                cargo,
                rustc,
                build_std_with: None,
            });
        }
        Self::debian().map_err(|missing| {
            format!(
                "the components cannot be built: the toolchain of `{}` lacks the target {TARGET}, and Debian's, which can \
                 do without, is not complete (missing: {missing}). Run `make setup` in {}, or install one of them: \
                 `rustup target add {TARGET}`, or `apt-get install {DEBIAN_PACKAGES}`",
                rustc.display(),
                root.display(),
            )
        })
    }

    /// Debian's toolchain.
    ///
    /// # Errors
    /// The missing packages.
    fn debian() -> Result<Self, String> {
        let (cargo, rustc) = (Path::new(DEBIAN_BIN).join("cargo"), Path::new(DEBIAN_BIN).join("rustc"));
        let linker = WASM_LINKERS
            .iter()
            .copied()
            .find(|name| Path::new(DEBIAN_BIN).join(name).is_file());
        // `--print sysroot` also distinguishes Debian's rustc from a rustup proxy of the same name, whose sysroot has no sources.
        let sources = print(&rustc, &["--print", "sysroot"]).is_some_and(|root| {
            Path::new(&root)
                .join("lib/rustlib/src/rust/library/std/Cargo.toml")
                .is_file()
        });
        let missing: Vec<&str> = [
            (rustc.is_file(), "rustc-web"),
            (cargo.is_file(), "cargo-web"),
            (sources, "rust-web-src"),
            (linker.is_some(), "lld-19"),
        ]
        .into_iter()
        .filter_map(|(found, package)| (!found).then_some(package))
        .collect();
        if !missing.is_empty() {
            return Err(missing.join(", "));
        }
        Ok(Self {
            cargo,
            rustc,
            build_std_with: linker,
        })
    }

    /// The command that builds a crate into `target_dir`.
    fn build(&self, root: &Path, core: &Core, target_dir: &Path) -> Command {
        let mut command = Command::new(&self.cargo);
        for (name, _) in env::vars_os() {
            if name.to_str().is_some_and(is_outer) {
                command.env_remove(name);
            }
        }
        command
            // Cargo reads `.cargo/config.toml` from here upwards.
            .current_dir(root)
            // Not left to `build.rustc` or `PATH`: this is the one that was checked.
            .env("RUSTC", &self.rustc)
            .env("CARGO_ENCODED_RUSTFLAGS", rustflags(root))
            // The outer cargo has brought the lock file up to date.
            .args(["rustc", "--locked", "--lib", "--release", "--target", TARGET])
            .args(["--package", core.package])
            .arg("--target-dir")
            .arg(target_dir)
            // Where a user's configuration shares one build directory, the outer cargo holds its lock until this build ends.
            .arg("--config")
            .arg(format!("build.build-dir={:?}", target_dir.display().to_string()));
        if let Some(jobs) = env::var_os("NUM_JOBS") {
            command.arg("--jobs").arg(jobs);
        }
        for (key, value) in PROFILE {
            command.arg("--config").arg(format!("profile.release.{key}={value}"));
        }
        if let Some(linker) = self.build_std_with {
            command
                // Unlocks `-Z` on a stable toolchain.
                .env("RUSTC_BOOTSTRAP", "1")
                .env("PATH", path_with_first(DEBIAN_BIN))
                // They name another toolchain and its libraries.
                .env_remove("RUSTUP_TOOLCHAIN")
                .env_remove("LD_LIBRARY_PATH")
                .arg("-Zbuild-std=std,panic_abort")
                .arg("--config")
                .arg(format!("target.{TARGET}.linker=\"{linker}\""));
        }
        command.args(core.arguments);
        // Cargo would read the inner cargo's stdout as this build script's instructions.
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }
}

fn is_outer(name: &str) -> bool {
    let cargos = (name.starts_with("CARGO_") && !KEPT.iter().any(|kept| name.starts_with(kept)))
        || name.starts_with("RUSTC")
        || name.starts_with("DEP_");
    cargos || OUTER.contains(&name)
}

/// Returns true if the target's standard library is installed: its directory can exist without one.
fn has_target(rustc: &Path) -> bool {
    let Some(libraries) = print(rustc, &["--print", "target-libdir", "--target", TARGET]) else {
        return false;
    };
    let Ok(entries) = fs::read_dir(libraries) else {
        return false;
    };
    entries
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
}

/// The first line that `program` prints, if it can be run and succeeds.
fn print(program: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .stderr(Stdio::null())
        .output()
        .ok()?;
    if !output.status.success() {
        return None;
    }
    String::from_utf8(output.stdout).ok()?.lines().next().map(str::to_owned)
}

/// Flags for the target only. Setting them, even to nothing, also keeps out the ones that a user's configuration means for the host.
fn rustflags(root: &Path) -> String {
    // Panic messages carry source paths into the module: without these, its bytes would differ with the builder's home directory.
    let registry = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cargo")))
        .map(|home| home.join("registry").join("src"));
    let mut flags = vec![format!("--remap-path-prefix={}=/pipefold", root.display())];
    flags.extend(registry.map(|sources| format!("--remap-path-prefix={}=/registry", sources.display())));
    flags.join("\u{1f}")
}

/// One directory for the inner builds of every outer profile, inside the outer target directory so that `cargo clean` empties it,
/// but not the same one, whose lock the outer cargo holds.
fn shared_target_dir(out_dir: &Path) -> PathBuf {
    let marks = ["CACHEDIR.TAG", ".rustc_info.json"];
    let outer = out_dir
        .ancestors()
        .find(|dir| marks.iter().any(|mark| dir.join(mark).is_file()));
    outer.unwrap_or(out_dir).join("pipefold-component")
}

fn workspace_root(package: &Path) -> Result<PathBuf, String> {
    package
        .ancestors()
        .find(|dir| dir.join("Cargo.lock").is_file())
        .map(Path::to_path_buf)
        .ok_or_else(|| {
            format!(
                "no Cargo.lock in {} or above it: run `cargo generate-lockfile` in the workspace",
                package.display()
            )
        })
}

fn path_with_first(first: &str) -> OsString {
    let mut path = OsString::from(first);
    if let Some(rest) = env::var_os("PATH") {
        path.push(":");
        path.push(rest);
    }
    path
}
