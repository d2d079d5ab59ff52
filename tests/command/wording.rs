//! The words of code and messages.

use std::path::PathBuf;

use crate::sources::files_with;

#[test]
fn code_and_messages_use_no_word_that_contributing_forbids() {
    let guide = include_str!("../../CONTRIBUTING.md");
    let line = guide
        .lines()
        .find_map(|line| line.strip_prefix("- Not in messages: "))
        .unwrap();
    let words: Vec<&str> = line.split('`').skip(1).step_by(2).collect();
    assert!(words.len() >= 5, "{words:?}");
    assert_eq!(files_with(&words), Vec::<PathBuf>::new(), "{words:?}");
}
