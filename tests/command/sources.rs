//! The source files of the project, for tests about them.

use std::fs;
use std::path::{Path, PathBuf};

/// Every source file below `host/` and `plugin/`, with its path from the root.
pub fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = Vec::new();
    let mut folders = vec![root.join("host"), root.join("plugin")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root).unwrap().to_path_buf(), text));
            }
        }
    }
    assert!(found.len() > 50, "the sources are not where this test looks");
    found
}

/// Returns true if the path is that of a test.
pub fn in_tests(path: &Path) -> bool {
    path.components()
        .any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs")
}

/// The files with a line of code, outside comments and tests, that holds one of the words.
pub fn files_with(words: &[&str]) -> Vec<PathBuf> {
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    let says = |text: &str| {
        text.lines()
            .filter(is_code)
            .any(|line| words.iter().any(|word| line.contains(word)))
    };
    sources()
        .into_iter()
        .filter(|(path, text)| !in_tests(path) && says(text))
        .map(|(path, _)| path)
        .collect()
}
