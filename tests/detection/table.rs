//! The document of the table of CI systems.

use pipefold_tests::workspace_root;

#[test]
fn docs_detection_agrees_with_the_code() {
    let path = workspace_root().join("docs/detection.md");
    let table = pipefold::detect::table();
    if std::env::var_os("PIPEFOLD_WRITE").is_some() {
        std::fs::write(&path, &table).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == table,
        "{} is not what the table says; write it again with PIPEFOLD_WRITE=1",
        path.display()
    );
}
