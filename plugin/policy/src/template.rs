//! What a rename puts in the place of a match: a text with references to parts of the match.

use crate::pattern::Pattern;
use regex_lite::Regex;

/// References in one template. Each may stand for a whole value of some kilobytes.
const MOST_REFERENCES: usize = 32;

/// A piece of a template.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    Text(String),
    /// The number of a group of a regular expression, or of a `*` of a glob from 0.
    Reference(usize),
}

/// Reads a template for a pattern: `$1`, `${name}` and `$$` for a regular expression, `*` for the parts of a glob in their order, and plain text
/// for a whole value.
///
/// # Errors
/// The fault of a reference.
pub fn parse(text: &str, pattern: &Pattern) -> Result<Vec<Part>, String> {
    let parts = match pattern {
        Pattern::Is(_) => vec![Part::Text(text.to_owned())],
        Pattern::Glob(glob) => of_glob(text, glob.count_stars())?,
        Pattern::Regex(regex) => of_regex(text, regex)?,
    };
    let references = parts.iter().filter(|part| matches!(part, Part::Reference(_))).count();
    if references > MOST_REFERENCES {
        return Err(format!("it has {references} references; {MOST_REFERENCES} are allowed"));
    }
    Ok(parts)
}

fn of_glob(text: &str, stars: usize) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    for (at, piece) in text.split('*').enumerate() {
        if at > 0 {
            parts.push(Part::Reference(at - 1));
        }
        if !piece.is_empty() {
            parts.push(Part::Text(piece.to_owned()));
        }
    }
    let wanted = text.matches('*').count();
    match wanted <= stars {
        true => Ok(parts),
        false => Err(format!("it has {wanted} `*`, and the glob has {stars}")),
    }
}

fn of_regex(text: &str, regex: &Regex) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        push(&mut parts, before);
        if let Some(literal) = after.strip_prefix('$') {
            push(&mut parts, "$");
            rest = literal;
            continue;
        }
        let (name, behind) = match after.strip_prefix('{') {
            Some(braced) => braced.split_once('}').ok_or("a `${` in it has no `}`")?,
            None => {
                let end = after.find(|letter: char| !is_name(letter)).unwrap_or(after.len());
                after.split_at(end)
            }
        };
        rest = behind;
        if name.is_empty() {
            push(&mut parts, "$");
            continue;
        }
        parts.push(Part::Reference(group(name, regex).ok_or_else(|| no_group(name))?));
    }
    push(&mut parts, rest);
    Ok(parts)
}

fn push(parts: &mut Vec<Part>, text: &str) {
    if !text.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
}

fn is_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// The number of a group by its number or name.
fn group(name: &str, regex: &Regex) -> Option<usize> {
    match name.parse::<usize>() {
        Ok(number) => (number < regex.captures_len()).then_some(number),
        Err(_) => regex.capture_names().position(|known| known == Some(name)),
    }
}

fn no_group(name: &str) -> String {
    let digits: String = name.chars().take_while(char::is_ascii_digit).collect();
    let hint = match digits.len() {
        0 => "write `$$` for a `$` itself".to_owned(),
        all if all == name.len() => "the first pair of parentheses is `$1`".to_owned(),
        _ => format!("write `${{{digits}}}` before letters"),
    };
    format!("the regex has no group `{name}`; {hint}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::pattern::Kind;

    #[test]
    fn references_are_checked() {
        let regex = Kind::Regex.compile("(?P<team>[a-z]+)-(.*)").unwrap();
        let text = |text: &str| Part::Text(text.into());
        assert_eq!(
            parse("x$2/${team}", &regex).unwrap(),
            [text("x"), Part::Reference(2), text("/"), Part::Reference(1)]
        );
        let fault = |template: &str| parse(template, &regex).unwrap_err();
        assert_eq!(
            fault("$3"),
            "the regex has no group `3`; the first pair of parentheses is `$1`"
        );
        assert_eq!(
            fault("$1_x"),
            "the regex has no group `1_x`; write `${1}` before letters"
        );
        assert_eq!(
            fault("$HOME"),
            "the regex has no group `HOME`; write `$$` for a `$` itself"
        );
        assert_eq!(fault("${1"), "a `${` in it has no `}`");
        assert_eq!(fault(&"$1".repeat(33)), "it has 33 references; 32 are allowed");
        let glob = Kind::Glob.compile("a/*").unwrap();
        assert_eq!(parse("*", &glob).unwrap(), [Part::Reference(0)]);
        assert_eq!(parse("*/*", &glob).unwrap_err(), "it has 2 `*`, and the glob has 1");
        let is = Kind::Is.compile("a").unwrap();
        assert_eq!(parse("$1*", &is).unwrap(), [text("$1*")]);
    }
}
