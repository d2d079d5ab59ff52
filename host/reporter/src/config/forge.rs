//! The tables `[[forge]]` of an operator's file: the sites that have repositories, for the links of a collector's pages.

use super::ConfigError;
use super::reader::{FORGE_KEYS, TomlEntry};

/// The kinds of forges.
pub const FORGE_KINDS: [&str; 5] = ["github", "gitlab", "gitea", "forgejo", "bitbucket"];

/// One table `[[forge]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForgeKeys {
    /// The beginning of the addresses of repositories, unchecked.
    pub url: String,
    /// One of [`FORGE_KINDS`].
    pub kind: &'static str,
    /// A pattern of the repositories that it has, unchecked; all if it is not given.
    pub repositories: Option<String>,
}

impl ForgeKeys {
    /// Reads one table.
    pub(super) fn read(table: &TomlEntry<'_>) -> Result<Self, ConfigError> {
        let mut forge = Self::default();
        for entry in table.table()? {
            match entry.name {
                "url" => forge.url = entry.text()?.unwrap_or_default(),
                "kind" => forge.kind = entry.word(&FORGE_KINDS)?.unwrap_or_default(),
                "repositories" => forge.repositories = entry.text()?,
                _ => return Err(entry.unknown(&FORGE_KEYS)),
            }
        }
        if forge.url.is_empty() || forge.kind.is_empty() {
            return Err(table.wrong("a forge needs the keys `url` and `kind`".into()));
        }
        Ok(forge)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::config::{File, Trust};
    use std::path::Path;

    fn forges(text: &str) -> Result<Vec<ForgeKeys>, String> {
        let file = File::parse(Path::new("/etc/pipefold.toml"), text, Trust::Operator);
        file.map(|file| file.operator.forges).map_err(|why| why.to_string())
    }

    #[test]
    fn a_forge_has_an_address_and_a_kind() {
        let read =
            forges("[[forge]]\nurl = \"https://git.example.com\"\nkind = \"gitea\"\nrepositories = \"team/*\"\n")
                .unwrap();
        let forge = ForgeKeys {
            url: "https://git.example.com".into(),
            kind: "gitea",
            repositories: Some("team/*".into()),
        };
        assert_eq!(read, [forge]);
        let why = |rest: &str| forges(&format!("[[forge]]\n{rest}\n")).unwrap_err();
        assert!(why("url = \"https://x\"").contains("`kind`"));
        assert!(why("url = \"https://x\"\nkind = \"svn\"").contains("\"github\""));
        assert!(why("colour = 1").contains("url, kind, repositories"));
    }
}
