//! What a person is shown of foreign words.

use pipefold_sandbox::foreign::is_hidden;
use std::fmt::Display;

/// Checks that a message is one line of characters that can be seen.
///
/// # Panics
/// If it is not.
pub fn check(message: &impl Display) {
    let text = message.to_string();
    assert!(
        !text.chars().any(is_hidden),
        "a message has hidden characters: {text:?}"
    );
}
