//! Reads remotes and `user.email` from git's configuration (git-config(1), "CONFIGURATION FILE"). Included files are not read: they may be
//! anywhere.

use std::path::Path;

use super::read_file;

/// The largest configuration that is read, in bytes: one with a section for each of some thousand branches.
const LARGEST: u64 = 1 << 20;

/// The needed values of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// Remotes with their addresses, each as often as it has one.
    remotes: Vec<(String, String)>,
    /// `user.email`.
    pub email: Option<String>,
}

impl Configuration {
    /// The address of `origin`, else of the only remote.
    pub fn remote(&self) -> Option<String> {
        let of = |name: &str| {
            self.remotes
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, url)| url.clone())
        };
        let (first, _) = self.remotes.first()?;
        of("origin").or_else(|| self.remotes.iter().all(|(name, _)| name == first).then(|| of(first))?)
    }
}

/// Reads a file. An absent file gives nothing, and a broken one the values before its fault.
pub fn read(path: &Path) -> Configuration {
    read_file(path, LARGEST).map_or_else(Configuration::default, |bytes| parse(&String::from_utf8_lossy(&bytes)))
}

fn parse(text: &str) -> Configuration {
    let mut configuration = Configuration::default();
    let mut section = Section::default();
    let mut rest = text.trim_start_matches('\u{feff}');
    loop {
        rest = rest.trim_start();
        rest = match rest.chars().next() {
            None => break,
            Some('#' | ';') => rest.split_once('\n').map_or("", |(_, rest)| rest),
            Some('[') => {
                let Some((found, after)) = header(&rest[1..]) else {
                    break;
                };
                section = found;
                after
            }
            Some(_) => {
                let Some((key, value, after)) = entry(rest) else { break };
                configuration.take(&section, key, value);
                after
            }
        };
    }
    configuration
}

#[derive(Default)]
struct Section {
    name: String,
    subsection: Option<String>,
}

impl Configuration {
    fn take(&mut self, section: &Section, key: &str, value: String) {
        let is = |name: &str, wanted: &str| section.name.eq_ignore_ascii_case(name) && key.eq_ignore_ascii_case(wanted);
        match &section.subsection {
            Some(remote) if is("remote", "url") => self.remotes.push((remote.clone(), value)),
            // The last of several values counts.
            None if is("user", "email") => self.email = Some(value),
            _ => {}
        }
    }
}

/// A section's header behind its `[`, and what follows it: `remote "origin"]`.
fn header(text: &str) -> Option<(Section, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '.'))?;
    let (name, rest) = text.split_at(end);
    let (subsection, rest) = match rest.trim_start_matches([' ', '\t']).strip_prefix('"') {
        None => (None, rest),
        Some(quoted) => {
            let mut subsection = String::new();
            let mut characters = quoted.char_indices();
            loop {
                match characters.next()? {
                    (at, '"') => break (Some(subsection), &quoted[at + 1..]),
                    (_, '\\') => subsection.push(characters.next()?.1),
                    (_, '\n') => return None,
                    (_, character) => subsection.push(character),
                }
            }
        }
    };
    let section = Section {
        name: name.to_owned(),
        subsection,
    };
    Some((section, rest.trim_start_matches([' ', '\t']).strip_prefix(']')?))
}

/// A key, its value, and what follows them: `url = "x" # comment`.
fn entry(text: &str) -> Option<(&str, String, &str)> {
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
        .unwrap_or(text.len());
    let (key, rest) = text.split_at(end);
    if key.is_empty() {
        return None;
    }
    match rest.trim_start_matches([' ', '\t']).strip_prefix('=') {
        Some(rest) => value(rest).map(|(value, rest)| (key, value, rest)),
        // A key alone is a truth value, which none of ours is.
        None => Some((key, String::new(), rest.split_once('\n').map_or("", |(_, rest)| rest))),
    }
}

fn value(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    // The length without the blanks before a comment or the end of the line.
    let mut kept = 0;
    let mut quoted = false;
    let mut characters = text.char_indices();
    let rest = loop {
        let Some((at, character)) = characters.next() else {
            break "";
        };
        match character {
            '\n' if quoted => return None,
            '\n' => break &text[at + 1..],
            '#' | ';' if !quoted => break text[at..].split_once('\n').map_or("", |(_, rest)| rest),
            '"' => quoted = !quoted,
            '\\' => {
                value.push(match characters.next()?.1 {
                    '\n' => continue,
                    'n' => '\n',
                    't' => '\t',
                    'b' => '\u{8}',
                    other @ ('"' | '\\') => other,
                    _ => return None,
                });
                kept = value.len();
            }
            blank if !quoted && blank.is_whitespace() => {
                if kept > 0 {
                    value.push(blank);
                }
            }
            character => {
                value.push(character);
                kept = value.len();
            }
        }
    };
    value.truncate(kept);
    (!quoted).then_some((value, rest))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn remote(text: &str) -> Option<String> {
        parse(text).remote()
    }

    #[test]
    fn configuration_as_git_writes_it() {
        let text = "[core]\n\tbare = false\n\tlogallrefupdates\n[remote \"fork\"]\n\turl = https://x/f.git\n[remote \"origin\"]\n\turl = \
                    git@github.com:getdx/some_repo.git\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n[branch \"main\"]\n\tremote = origin\n\
                    [user]\n\temail = me@getdx.com\n";
        let configuration = parse(text);
        assert_eq!(
            configuration.remote().as_deref(),
            Some("git@github.com:getdx/some_repo.git")
        );
        assert_eq!(configuration.email.as_deref(), Some("me@getdx.com"));
    }

    #[test]
    fn configuration_as_people_write_it() {
        for text in [
            "[ReMote \"origin\"] URL=x",
            "; c\n# c\n[remote \"origin\"]\r\n  url = \"x\"   ; why\r\n",
            "\u{feff}[remote \"origin\"]\nurl = \\\n  x # why\n",
            "[remote \"or\\igin\"]url=x",
        ] {
            assert_eq!(remote(text).as_deref(), Some("x"), "{text:?}");
        }
        let spaced = "[remote \"origin\"]\nurl = \" a;\\\"b \" c  \n";
        assert_eq!(remote(spaced).as_deref(), Some(" a;\"b  c"));
        assert_eq!(
            parse("[user]\nemail=a\nemail = b\n[user \"x\"]\nemail = c")
                .email
                .as_deref(),
            Some("b")
        );
    }

    #[test]
    fn without_an_origin_the_only_remote_counts_and_of_several_none() {
        assert_eq!(remote("[remote \"a\"]\nurl = 1\nurl = 2\n").as_deref(), Some("1"));
        assert_eq!(remote("[remote \"a\"]\nurl = 1\n[remote \"b\"]\nurl = 2\n"), None);
        assert_eq!(remote(""), None);
    }

    #[test]
    fn values_before_a_fault_count_and_includes_are_ignored() {
        for fault in [
            "[remote \"x",
            "[remote",
            "= 3",
            "url = \"",
            "url = \\q",
            "[remote \"x\"\n]\nurl = 2",
        ] {
            let text = format!("[remote \"origin\"]\nurl = 1\n{fault}");
            assert_eq!(remote(&text).as_deref(), Some("1"), "{text:?}");
        }
        assert_eq!(remote("[include]\npath = /etc/gitconfig\n"), None);
        parse(&"[".repeat(100_000));
        parse(&"a=\\\n".repeat(100_000));
    }
}
