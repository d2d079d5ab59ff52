//! JSON set out over lines.

use pipefold_sandbox::foreign::json;

/// A JSON text with each member of its outermost object on a line of its own, and what cannot be seen escaped; no value is changed, nor their
/// order.
pub(super) fn set_out(body: &[u8]) -> String {
    let text = json(&String::from_utf8_lossy(body));
    let mut out = String::with_capacity(text.len() + 256);
    let (mut depth, mut in_string, mut escaped) = (0_u32, false, false);
    for c in text.chars() {
        if in_string {
            out.push(c);
            (in_string, escaped) = (escaped || c != '"', !escaped && c == '\\');
            continue;
        }
        match c {
            '"' => in_string = true,
            '{' | '[' => depth += 1,
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    out.push('\n');
                }
            }
            _ => {}
        }
        out.push(c);
        match c {
            '{' | ',' if depth == 1 => out.push_str("\n  "),
            ':' if depth == 1 => out.push(' '),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn only_space_between_values_is_added() {
        let body = r#"{"a":"x\",{}:\\","b":1,"c":[1,2],"d":{"e":","}}"#;
        let shown = set_out(body.as_bytes());
        assert_eq!(
            shown,
            "{\n  \"a\": \"x\\\",{}:\\\\\",\n  \"b\": 1,\n  \"c\": [1,2],\n  \"d\": {\"e\":\",\"}\n}"
        );
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&shown), value(body));
        assert_eq!(set_out(b"{"), "{\n  ");
    }

    #[test]
    fn what_nobody_would_see_is_escaped_and_means_the_same() {
        let body = "{\"a\":\"x\u{202e}y\u{2066}\u{200b}\u{e0041}é 日本\u{3164}\"}";
        let shown = set_out(body.as_bytes());
        assert!(
            shown.contains("x\\u202ey\\u2066\\u200b\\udb40\\udc41é 日本\\u3164"),
            "{shown}"
        );
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&shown), value(body));
    }
}
