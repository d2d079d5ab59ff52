//! What a person is shown of foreign words.

use std::fmt::Display;

/// Checks that a message is one line that cannot move a terminal's cursor.
///
/// # Panics
/// If it is not.
pub fn check(message: &impl Display) {
    let text = message.to_string();
    assert!(
        !text.chars().any(char::is_control),
        "a message has control characters: {text:?}"
    );
}
