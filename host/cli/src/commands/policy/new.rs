//! `policy new`: a project with a policy, from the templates in the program.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::json;

use super::super::{print_json, print_lines};
use super::{Wrong, refused};
use crate::args::{GlobalFlags, LanguageName, NewArgs};
use crate::terminal::neutral;

/// A file of a project, and its text with placeholders.
type Template = (&'static str, &'static str);

macro_rules! template {
    ($file:literal) => {
        include_str!(concat!("../../../templates/", $file))
    };
}

/// The contract, which every policy with code is built from.
const WIT: [Template; 7] = [
    ("wit/checking.wit", template!("wit/checking.wit")),
    ("wit/grants.wit", template!("wit/grants.wit")),
    ("wit/hooks.wit", template!("wit/hooks.wit")),
    ("wit/merging.wit", template!("wit/merging.wit")),
    ("wit/translating.wit", template!("wit/translating.wit")),
    ("wit/types.wit", template!("wit/types.wit")),
    ("wit/worlds.wit", template!("wit/worlds.wit")),
];

/// The files of every project.
const COMMON: [Template; 3] = [
    ("tests/cases.jsonl", template!("cases.jsonl")),
    (".github/workflows/policy.yml", template!("github.yml.in")),
    (".gitlab-ci.yml", template!("gitlab.yml.in")),
];

/// The parts of a project that depend on its language.
struct Language {
    files: &'static [Template],
    has_contract: bool,
    /// The file that has the policy.
    source: &'static str,
    /// The file that commands take.
    artifact: &'static str,
    /// The commands that build the artifact.
    build: &'static [&'static str],
    /// An image that has the tools, and curl.
    image: &'static str,
}

const RUST: Language = Language {
    files: &[
        ("Cargo.toml", template!("rust/Cargo.toml.in")),
        ("src/lib.rs", template!("rust/lib.rs.in")),
        ("component/Cargo.toml", template!("rust/component.toml.in")),
        ("component/src/main.rs", template!("rust/component.rs.in")),
        (".gitignore", template!("rust/gitignore")),
        ("README.md", template!("README.component.md.in")),
    ],
    has_contract: true,
    source: "src/lib.rs",
    artifact: "{{name}}.wasm",
    build: &["rustup target add wasm32-unknown-unknown", "cargo run -p component"],
    image: "rust:1",
};

const PYTHON: Language = Language {
    files: &[
        ("policy.py", template!("python/policy.py.in")),
        ("requirements.txt", template!("python/requirements.txt")),
        (".gitignore", template!("python/gitignore")),
        ("README.md", template!("README.component.md.in")),
    ],
    has_contract: true,
    source: "policy.py",
    artifact: "{{name}}.wasm",
    build: &[
        "python3 -m venv .venv",
        ".venv/bin/pip install -r requirements.txt",
        ".venv/bin/componentize-py --wit-path wit --world policy componentize --stub-wasi policy --output {{name}}.wasm",
    ],
    image: "python:3",
};

const JAVASCRIPT: Language = Language {
    files: &[
        ("policy.js", template!("javascript/policy.js.in")),
        ("package.json", template!("javascript/package.json.in")),
        (".gitignore", template!("javascript/gitignore")),
        ("README.md", template!("README.component.md.in")),
    ],
    has_contract: true,
    source: "policy.js",
    artifact: "{{name}}.wasm",
    build: &["npm install", "npm run build"],
    image: "node:22",
};

const RULES: Language = Language {
    files: &[
        ("pipefold-policy.toml", template!("rules/pipefold-policy.toml.in")),
        (".gitignore", template!("rules/gitignore")),
        ("README.md", template!("README.rules.md.in")),
    ],
    has_contract: false,
    source: "pipefold-policy.toml",
    artifact: "pipefold-policy.toml",
    build: &[],
    image: "buildpack-deps:curl",
};

impl Language {
    fn of(name: LanguageName) -> &'static Self {
        match name {
            LanguageName::Rust => &RUST,
            LanguageName::Python => &PYTHON,
            LanguageName::JavaScript => &JAVASCRIPT,
            LanguageName::Rules => &RULES,
        }
    }

    /// The files of a project with this name, in the order in which they are written.
    fn project(&self, name: &str) -> Vec<(&'static str, String)> {
        let listed = |before: &str, after: &str| -> String {
            self.build
                .iter()
                .map(|command| format!("{before}{command}{after}"))
                .collect()
        };
        let replacements = [
            ("{{build}}", listed("", "\n").trim_end().to_owned()),
            ("{{github-build}}", listed("      - run: ", "\n")),
            ("{{gitlab-build}}", listed("    - ", "\n")),
            ("{{image}}", self.image.to_owned()),
            ("{{source}}", self.source.to_owned()),
            ("{{artifact}}", self.artifact.to_owned()),
            ("{{version}}", env!("CARGO_PKG_VERSION").to_owned()),
            // Last: others have it in their texts.
            ("{{name}}", name.to_owned()),
        ];
        let filled = |text: &str| {
            let fill = |text: String, (placeholder, value): &(&str, String)| text.replace(placeholder, value);
            replacements.iter().fold(text.to_owned(), fill)
        };
        let own = self
            .files
            .iter()
            .chain(&COMMON)
            .map(|(path, text)| (*path, filled(text)));
        let contract = WIT.iter().filter(|_| self.has_contract);
        own.chain(contract.map(|(path, text)| (*path, (*text).to_owned())))
            .collect()
    }

    /// The commands that follow, from the project's directory.
    fn next(&self, name: &str) -> Vec<String> {
        let test = format!("pipefold policy test {} tests/cases.jsonl", self.artifact);
        let commands = self.build.iter().map(|command| (*command).to_owned()).chain([test]);
        commands.map(|command| command.replace("{{name}}", name)).collect()
    }
}

/// `pipefold policy new`
pub fn run(global: &GlobalFlags, args: &NewArgs) -> anyhow::Result<ExitCode> {
    let name = match name(args).and_then(|name| is_free(&args.dir).map(|()| name)) {
        Ok(name) => name,
        Err(wrong) => return Ok(refused(&wrong)),
    };
    let language = Language::of(args.language);
    let project = language.project(&name);
    for (path, text) in &project {
        let path = args.dir.join(path);
        write_new(&path, text.as_bytes()).with_context(|| format!("cannot write {}", shown(&path)))?;
    }
    let next = language.next(&name);
    if global.json {
        let files: Vec<&str> = project.iter().map(|(path, _)| *path).collect();
        let dir = args.dir.display().to_string();
        print_json(&json!({ "name": name, "dir": dir, "files": files, "next": next }))?;
    } else {
        let dir = shown(&args.dir);
        let commands: String = next.iter().map(|command| format!("  {command}\n")).collect();
        print_lines(&format!(
            "{} files of the policy {name} are in {dir}; README.md describes them\n\n  cd {dir}\n{commands}",
            project.len()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn shown(path: &Path) -> String {
    neutral(&path.display().to_string())
}

/// The characters of a name; it is the name of a crate and of a package too.
const LONGEST_NAME: usize = 64;
/// Names that the projects or their package managers use otherwise.
const TAKEN: [&str; 2] = ["component", "node_modules"];

/// The project's name: the flag's, or that of the directory.
fn name(args: &NewArgs) -> Result<String, Wrong> {
    let (name, given_by) = match &args.name {
        Some(name) => (name.clone(), "--name"),
        None => {
            let dir = std::path::absolute(&args.dir).unwrap_or_else(|_| args.dir.clone());
            let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (name, "the directory's name")
        }
    };
    let is_right = name.len() <= LONGEST_NAME
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_');
    let advice = if args.name.is_some() {
        ""
    } else {
        "; give another by --name"
    };
    match () {
        () if TAKEN.contains(&name.as_str()) => Err(Wrong(format!(
            "{given_by}: a policy cannot be called {name}, which the project uses otherwise{advice}"
        ))),
        () if is_right => Ok(name),
        () => Err(Wrong(format!(
            "{given_by}: {name:?} is no name of a policy: a-z first, then a-z, 0-9, - and _, at most {LONGEST_NAME}{advice}"
        ))),
    }
}

/// Entries of a directory that a project may be written beside: those of version control.
const BESIDE: [&str; 4] = [".git", ".hg", ".jj", ".svn"];

/// Checks that a directory is empty, or missing.
fn is_free(dir: &Path) -> Result<(), Wrong> {
    let wrong = |error: io::Error| Wrong(format!("cannot write to {}: {error}", dir.display()));
    if dir.as_os_str().is_empty() {
        return Err(Wrong("the directory has no name".to_owned()));
    }
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(wrong(error)),
    };
    for entry in entries {
        let name = entry.map_err(wrong)?.file_name();
        if !BESIDE.iter().any(|beside| name == *beside) {
            return Err(Wrong(format!(
                "{} is not empty: it has {}; name a new directory",
                dir.display(),
                PathBuf::from(name).display()
            )));
        }
    }
    Ok(())
}

/// Writes a file that is not there yet, and the directories above it.
fn write_new(path: &Path, text: &[u8]) -> io::Result<()> {
    if let Some(above) = path.parent() {
        DirBuilder::new().recursive(true).create(above)?;
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)?
        .write_all(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn a_project_has_the_whole_contract() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/wit");
        let mut files: Vec<String> = fs::read_dir(dir)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".wit"))
            .map(|name| format!("wit/{name}"))
            .collect();
        files.sort();
        assert_eq!(files, WIT.map(|(path, _)| path));
    }

    #[test]
    fn no_placeholder_is_left() {
        for language in [&RUST, &PYTHON, &JAVASCRIPT, &RULES] {
            for (path, text) in language.project("ours") {
                // GitHub's own placeholders have a dollar before.
                assert!(!text.replace("${{", "").contains("{{"), "{path}: {text}");
                assert!(text.ends_with('\n'), "{path}");
            }
            assert!(language.next("ours").iter().all(|command| !command.contains("{{")));
        }
    }
}
