//! The tables `[[source]]` of an operator's file: the webhooks that a collector takes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use pipefold_sandbox::KeyPlace;

use super::ConfigError;
use super::quantity::LimitKeys;
use super::reader::{SOURCE_KEYS, TomlEntry};

/// Keys under which users might put the secret itself.
const SECRETS: [&str; 4] = ["secret", "secrets", "token", "password"];

/// The most deliveries a second that a source may be allowed.
const MOST_RATE: u64 = 100_000;

/// One table `[[source]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceKeys {
    /// The name, unchecked: the end of the source's address.
    pub name: String,
    /// The name of a built-in source, unchecked; the name if neither it nor a file is given.
    pub use_built_in: Option<String>,
    /// `FILE[@sha256:…]` of a component; a relative file is taken from the directory of the file of settings.
    pub file: Option<String>,
    /// The key that must have signed the file, as for a policy.
    pub key: Option<KeyPlace>,
    /// The settings that the component sees.
    pub settings: BTreeMap<String, String>,
    /// The file with one secret a line.
    pub secret_file: Option<PathBuf>,
    /// The name of the scheme, unchecked.
    pub scheme: Option<String>,
    /// The most deliveries a second.
    pub rate: Option<u32>,
    /// The time for which a signed delivery is good.
    pub max_age: Option<Duration>,
    /// The limits of the component that differ from the usual ones of sources.
    pub limits: LimitKeys,
}

impl SourceKeys {
    /// Reads one table.
    pub(super) fn read(table: &TomlEntry<'_>) -> Result<Self, ConfigError> {
        let mut source = Self::default();
        for entry in table.table()? {
            match entry.name {
                "name" => source.name = entry.text()?.unwrap_or_default(),
                "use" => source.use_built_in = entry.text()?,
                "file" => {
                    let path = entry.path()?;
                    source.file = path.and_then(|path| path.into_os_string().into_string().ok());
                }
                "key" => source.key = Some(entry.key_place()?),
                "settings" => {
                    for entry in entry.table()? {
                        if entry.name == "use" {
                            return Err(
                                entry.wrong("the built-in source is chosen by the key `use` of [[source]]".into())
                            );
                        }
                        if let Some(value) = entry.text()? {
                            source.settings.insert(entry.name.to_owned(), value);
                        }
                    }
                }
                "secret_file" => source.secret_file = entry.path()?,
                "scheme" => source.scheme = entry.text()?,
                "rate" => {
                    let rate = u32::try_from(entry.count()?).ok();
                    let rate = rate.filter(|rate| (1..=MOST_RATE).contains(&u64::from(*rate)));
                    let wrong = || entry.wrong(format!("this has to be a whole number from 1 to {MOST_RATE}"));
                    source.rate = Some(rate.ok_or_else(wrong)?);
                }
                "max_age" => source.max_age = Some(entry.age()?),
                "limits" => {
                    for entry in entry.table()? {
                        source.limits.take(&entry)?;
                    }
                }
                name if SECRETS.contains(&name) => {
                    return Err(entry.wrong(
                        "a secret never stands in a file of settings; name a file that holds it with `secret_file`"
                            .to_owned(),
                    ));
                }
                _ => return Err(entry.unknown(&SOURCE_KEYS)),
            }
        }
        if source.name.is_empty() {
            return Err(table.wrong("a source needs a key `name`, the end of its address".into()));
        }
        if source.use_built_in.is_some() && source.file.is_some() {
            return Err(table.wrong("a source has either `use` or `file`: leave out one of them".into()));
        }
        if source.key.is_some() && source.file.is_none() {
            return Err(table.wrong("`key` is the key that signed the component that `file` names: add `file`".into()));
        }
        Ok(source)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::config::{File, Trust};
    use std::path::Path;

    fn sources(text: &str) -> Result<Vec<SourceKeys>, String> {
        let file = File::parse(Path::new("/etc/pipefold.toml"), text, Trust::Operator);
        file.map(|file| file.operator.sources).map_err(|why| why.to_string())
    }

    #[test]
    fn every_key() {
        let read = sources(
            "[[source]]\nname = \"github\"\nsecret_file = \"hook\"\n\n[[source]]\nname = \"ours\"\nfile = \"ours.wasm@sha256:00\"\n\
             settings = { team = \"web\" }\nscheme = \"token\"\nrate = 7\nmax_age = \"1h\"\nlimits = { hook = \"1s\" }\n",
        )
        .unwrap();
        assert_eq!(
            read[0],
            SourceKeys {
                name: "github".into(),
                secret_file: Some("/etc/hook".into()),
                ..SourceKeys::default()
            }
        );
        let ours = &read[1];
        assert_eq!(ours.file.as_deref(), Some("/etc/ours.wasm@sha256:00"));
        assert_eq!(ours.settings["team"], "web");
        assert_eq!((ours.scheme.as_deref(), ours.rate), (Some("token"), Some(7)));
        assert_eq!(ours.max_age, Some(Duration::from_secs(3600)));
        assert_eq!(ours.limits.hook, Some(Duration::from_secs(1)));
    }

    #[test]
    fn mistakes_are_named() {
        let why = |rest: &str| sources(&format!("[[source]]\nname = \"a\"\n{rest}\n")).unwrap_err();
        for key in SECRETS {
            let why = why(&format!("{key} = \"sesame\""));
            assert!(why.contains("`secret_file`") && !why.contains("sesame"), "{why}");
        }
        assert!(why("use = \"github\"\nfile = \"a.wasm\"").contains("either `use` or `file`"));
        assert!(why("settings = { use = \"github\" }").contains("`source.settings.use`"));
        let key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
        assert!(why(&format!("use = \"github\"\nkey = \"{key}\"")).contains("add `file`"));
        assert!(why("rate = 0").contains("from 1 to"));
        assert!(why("shceme = \"token\"").contains("did you mean `scheme`?"));
        let nameless = sources("[[source]]\nuse = \"github\"\n").unwrap_err();
        assert!(nameless.contains("needs a key `name`"), "{nameless}");
        let workspace = File::parse(
            Path::new("/w/pipefold.toml"),
            "[[source]]\nname = \"a\"\n",
            Trust::Workspace,
        );
        let why = workspace.unwrap_err().to_string();
        assert!(why.contains("`source` may not be set in a workspace file"), "{why}");
    }
}
