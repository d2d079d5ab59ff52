//! The contract keeps its word: a WIT file that changes changes the version.

use std::collections::BTreeMap;

use pipefold_tests::workspace_root;
use sha2::{Digest, Sha256};

/// Every WIT file by name.
fn files() -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(workspace_root().join("wit"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.extension().is_some_and(|extension| extension == "wit"))
        .map(|path| {
            (
                path.file_name().unwrap().to_str().unwrap().to_owned(),
                std::fs::read_to_string(&path).unwrap(),
            )
        })
        .collect()
}

/// The version after `package pipefold:ci@`, the same in each file.
fn version(files: &BTreeMap<String, String>) -> String {
    let versions: Vec<&str> = files
        .iter()
        .map(|(name, text)| {
            let line = text.lines().find_map(|line| line.strip_prefix("package pipefold:ci@"));
            line.and_then(|rest| rest.strip_suffix(';'))
                .unwrap_or_else(|| panic!("wit/{name} names no package version"))
        })
        .collect();
    assert!(
        versions.windows(2).all(|pair| pair[0] == pair[1]),
        "the files name different versions: {versions:?}"
    );
    versions[0].to_owned()
}

/// The digest over names, sizes and content, so that nothing can move from one file to another unseen.
fn digest(files: &BTreeMap<String, String>) -> String {
    let mut hash = Sha256::new();
    for (name, text) in files {
        hash.update(format!("{name}\0{}\0{text}", text.len()));
    }
    format!("{:x}", hash.finalize())
}

#[test]
fn a_changed_file_has_another_version() {
    let files = files();
    let (version, digest) = (version(&files), digest(&files));
    let known = std::fs::read_to_string(workspace_root().join("wit/VERSIONS")).unwrap();
    let mut lines = known
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '));
    match lines.find(|(known, _)| *known == version) {
        Some((_, known)) => assert_eq!(
            digest, known,
            "a file in wit/ differs from what version {version} is. Hosts and plugins that were built for {version} rely on it: give all \
             files in wit/ a new version in `package pipefold:ci@…`, name it wherever `pipefold:ci/…@{version}` stands, and add a line with \
             the new version and its digest to wit/VERSIONS. Only while {version} has never been released may its line be changed instead"
        ),
        None => panic!("version {version} is not in wit/VERSIONS yet: add the line\n{version} {digest}"),
    }
}

#[test]
fn every_version_stands_once_and_with_a_digest() {
    let known = std::fs::read_to_string(workspace_root().join("wit/VERSIONS")).unwrap();
    let mut versions = Vec::new();
    for line in known.lines().filter(|line| !line.starts_with('#')) {
        let (version, digest) = line
            .split_once(' ')
            .unwrap_or_else(|| panic!("{line:?} is not `version digest`"));
        assert!(
            digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{line:?}"
        );
        assert!(!versions.contains(&version), "{version} stands twice");
        versions.push(version);
    }
    assert!(!versions.is_empty());
}

#[test]
fn the_digest_sees_every_kind_of_change() {
    let text = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect()
    };
    let all = [
        text(&[("a.wit", "x"), ("b.wit", "y")]),
        text(&[("a.wit", "x"), ("b.wit", "z")]),
        text(&[("a.wit", "xb.wit"), ("b.wit", "y")]),
        text(&[("a.wit", "x")]),
        text(&[("a.wit", "y"), ("b.wit", "x")]),
        text(&[("a.wit", "x"), ("c.wit", "y")]),
    ];
    let digests: std::collections::BTreeSet<String> = all.iter().map(digest).collect();
    assert_eq!(digests.len(), all.len());
}
