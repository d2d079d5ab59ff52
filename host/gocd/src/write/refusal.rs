//! What a server of dialect D says where there is no document.

use super::markup::Markup;

/// Writes a refusal. `kind` is the name of its element: what the status says, such as `not-found` or `bad-request`.
#[must_use]
pub fn refusal(kind: &'static str, message: &str) -> String {
    let mut markup = Markup::bare();
    markup.open(kind, &[]);
    markup.text("message", Some(message));
    markup.finish()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn as_servers_word_it() {
        assert_eq!(
            refusal("not-found", "Pipeline with name 'a<b' was not found!"),
            "<not-found>\n  <message>Pipeline with name 'a&lt;b' was not found!</message>\n</not-found>\n"
        );
    }
}
