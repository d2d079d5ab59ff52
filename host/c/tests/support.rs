//! The library, and a program in C that calls it.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

/// The directory of the crate.
pub fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the library, which cargo built beside this test.
pub fn built(name: &str) -> PathBuf {
    let file = std::env::current_exe().unwrap().with_file_name(name);
    assert!(file.is_file(), "there is no {}", file.display());
    file
}

/// Runs the C compiler, which the build of the workspace needs too.
pub fn compile(arguments: &[&dyn AsRef<OsStr>]) {
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let mut command = Command::new(compiler);
    command.args([
        "-std=c99",
        "-D_POSIX_C_SOURCE=200809L",
        "-pedantic",
        "-Wall",
        "-Wextra",
        "-Werror",
    ]);
    command.args(arguments.iter().map(|argument| argument.as_ref()));
    let output = command.output().expect("the C compiler starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Makes the program in this directory, against the header of another one, and with further flags. Returns it, and the directory of the library,
/// which has its soname there.
pub fn compile_with(directory: &Path, header: &Path, flags: &str) -> (PathBuf, PathBuf) {
    let library = directory.join("libpipefold.so.1");
    symlink(built("libpipefold_c.so"), &library).unwrap();
    let (source, output) = (here().join("tests/driver.c"), directory.join("driver"));
    let flags: Vec<&str> = flags.split_whitespace().collect();
    let mut arguments: Vec<&dyn AsRef<OsStr>> = vec![&source, &"-I", &header, &"-o", &output, &library, &"-pthread"];
    arguments.extend(flags.iter().map(|flag| flag as &dyn AsRef<OsStr>));
    compile(&arguments);
    (output, directory.to_path_buf())
}

/// The program, compiled against the header of an earlier release, and the directory of the library.
fn program() -> (PathBuf, PathBuf) {
    static MADE: OnceLock<TempDir> = OnceLock::new();
    let directory = MADE.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        compile_with(directory.path(), &here().join("tests/abi/0.2.0"), "");
        directory
    });
    (directory.path().join("driver"), directory.path().to_path_buf())
}

/// A run of the program in an empty environment.
pub struct Driver {
    /// The directory of the test, which is the program's working directory and its home.
    pub directory: TempDir,
    program: PathBuf,
    library: PathBuf,
    variables: Vec<(String, String)>,
    /// A command that runs the program, in words; usually none.
    under: Vec<String>,
}

impl Driver {
    pub fn new() -> Self {
        let (program, library) = program();
        Self::of(program, &library)
    }

    /// Of another program, with the library in another directory.
    pub fn of(program: PathBuf, library: &Path) -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            program,
            library: library.to_path_buf(),
            variables: Vec::new(),
            under: Vec::new(),
        }
    }

    /// Uses a library in another directory.
    pub fn with_library(mut self, directory: &Path) -> Self {
        self.library = directory.to_path_buf();
        self
    }

    /// Runs the program by another one.
    pub fn under(mut self, command: &str) -> Self {
        self.under = command.split_whitespace().map(str::to_owned).collect();
        self
    }

    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// A configuration with the keys that each test needs, and these.
    pub fn config(&self, more: serde_json::Value) -> String {
        let place = self.directory.path();
        let mut config = serde_json::json!({ "spool": place.join("spool"), "cache": cache() });
        for (key, value) in more.as_object().unwrap() {
            config[key] = value.clone();
        }
        config.to_string()
    }

    pub fn output(&self, lines: &[&str]) -> Output {
        let program = self.program.as_os_str();
        let mut words = self.under.iter().map(AsRef::as_ref).chain([program]);
        let mut child = Command::new(words.next().unwrap())
            .args(words)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("LD_LIBRARY_PATH", &self.library)
            .env("HOME", self.directory.path())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let input = lines.join("\n") + "\n";
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// The lines that the program writes. It must end well, and nothing may be on stderr.
    pub fn run(&self, lines: &[&str]) -> Vec<String> {
        let output = self.output(lines);
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

/// A cache for all tests of this process, so that components are compiled once.
fn cache() -> &'static Path {
    static CACHE: OnceLock<TempDir> = OnceLock::new();
    let cache = CACHE.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("cache")).unwrap();
        directory
    });
    cache.path()
}

/// A status and an answer.
pub fn parsed(line: &str) -> (i32, serde_json::Value) {
    let (status, answer) = line.split_once(' ').unwrap();
    let answer = serde_json::from_str(answer).unwrap_or_else(|error| panic!("{line}: {error}"));
    (status.parse().unwrap(), answer)
}
