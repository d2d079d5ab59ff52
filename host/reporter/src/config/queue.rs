//! The table `[queue]`: the queue in which reporting ends instead of DX.

use std::path::{Path, PathBuf};

use super::file::OperatorKeys;
use super::reader::{QUEUE_KEYS, TomlEntry};
use super::settings::flag_path;
use super::{ConfigError, Environment, Flags, Origin, Sourced, variables};

/// Keys under which users might put a secret of the queue.
const SECRETS: [&str; 6] = ["credentials", "nkey", "password", "secret", "token", "user"];

/// The queue of an operator's file. `None` is not set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueueKeys {
    /// The queue's address, unchecked: one server, or several with commas between them.
    pub url: Option<Sourced<String>>,
    /// File with the credentials of a NATS user.
    pub credentials_file: Option<Sourced<PathBuf>>,
    /// File with the token of a NATS server.
    pub token_file: Option<Sourced<PathBuf>>,
}

/// The queue that reporting ends in.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueSettings {
    /// The queue's address, unchecked: one server, or several with commas between them.
    pub url: Sourced<String>,
    /// File with the credentials of a NATS user.
    pub credentials_file: Option<Sourced<PathBuf>>,
    /// File with the token of a NATS server.
    pub token_file: Option<Sourced<PathBuf>>,
}

impl QueueKeys {
    pub(super) fn read(entry: &TomlEntry<'_>) -> Result<Self, ConfigError> {
        let mut keys = Self::default();
        for entry in entry.table()? {
            let sourced = |path: PathBuf| Sourced::new(path, entry.origin());
            match entry.name {
                "url" => keys.url = entry.text()?.map(|url| Sourced::new(url, entry.origin())),
                "credentials_file" => keys.credentials_file = entry.path()?.map(sourced),
                "token_file" => keys.token_file = entry.path()?.map(sourced),
                name if SECRETS.contains(&name) => {
                    return Err(entry.wrong(
                        "a secret never stands in a file of settings; name a file that holds it with `credentials_file` or `token_file`"
                            .to_owned(),
                    ));
                }
                _ => return Err(entry.unknown(&QUEUE_KEYS)),
            }
        }
        Ok(keys)
    }
}

/// The queue by flag, variable and operator's file; none if none of them names one.
pub fn queue(environment: &Environment, flags: &Flags, operator: &OperatorKeys, cwd: &Path) -> Option<QueueSettings> {
    let keys = &operator.queue;
    let flag = flags.queue.as_deref().map(|url| (url, Origin::Flag("--queue")));
    let variable = environment
        .get(variables::QUEUE)
        .map(|url| (url, Origin::Variable(variables::QUEUE)));
    let url = [flag, variable]
        .into_iter()
        .flatten()
        .find(|(url, _)| !url.trim().is_empty())
        .map(|(url, origin)| Sourced::new(url.to_owned(), origin))
        .or_else(|| keys.url.clone())?;
    let credentials = flag_path(flags.queue_credentials.as_deref(), "--queue-credentials", cwd);
    let token = flag_path(flags.queue_token_file.as_deref(), "--queue-token-file", cwd);
    // A flag for one kind takes the place of the file's other kind too: a server takes only one of them.
    let by_flag = credentials.is_some() || token.is_some();
    let of_the_file = |path: &Option<Sourced<PathBuf>>| path.clone().filter(|_| !by_flag);
    Some(QueueSettings {
        url,
        credentials_file: credentials.or_else(|| of_the_file(&keys.credentials_file)),
        token_file: token.or_else(|| of_the_file(&keys.token_file)),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::config::{File, Trust};

    fn operator(text: &str) -> Result<OperatorKeys, ConfigError> {
        File::parse(Path::new("/etc/pipefold.toml"), text, Trust::Operator).map(|file| file.operator)
    }

    #[test]
    fn a_flag_beats_the_variable_and_both_beat_the_file() {
        let file = operator("[queue]\nurl = \"nats://127.0.0.1:1\"\ncredentials_file = \"runner.creds\"\n").unwrap();
        let of = |flag: Option<&str>, variable: Option<&str>, token: Option<&str>| {
            let environment = Environment::from_pairs(variable.map(|url| (variables::QUEUE, url)));
            let flags = Flags {
                queue: flag.map(str::to_owned),
                queue_token_file: token.map(PathBuf::from),
                ..Flags::default()
            };
            queue(&environment, &flags, &file, Path::new("/builds")).unwrap()
        };
        let urls = |queue: &QueueSettings| queue.url.value.rsplit(':').next().unwrap().to_owned();
        let alone = of(None, None, None);
        assert_eq!(urls(&alone), "1");
        assert_eq!(alone.credentials_file.unwrap().value, Path::new("/etc/runner.creds"));
        assert_eq!(urls(&of(None, Some("nats://h:2"), None)), "2");
        let flagged = of(Some("nats://h:3"), Some("nats://h:2"), Some("t"));
        assert_eq!((urls(&flagged), flagged.credentials_file), ("3".to_owned(), None));
        assert_eq!(flagged.token_file.unwrap().value, Path::new("/builds/t"));
        assert_eq!(
            queue(
                &Environment::default(),
                &Flags::default(),
                &OperatorKeys::default(),
                Path::new("/")
            ),
            None
        );
    }

    #[test]
    fn secrets_and_workspaces_are_refused_by_name() {
        for key in SECRETS {
            let why = operator(&format!("[queue]\n{key} = \"sesame\"\n"))
                .unwrap_err()
                .to_string();
            assert!(
                why.contains(&format!("`queue.{key}`")) && !why.contains("sesame"),
                "{why}"
            );
        }
        let why = File::parse(
            Path::new("/w/pipefold.toml"),
            "[queue]\nurl = \"nats://evil\"\n",
            Trust::Workspace,
        );
        let why = why.unwrap_err().to_string();
        assert!(
            why.contains("`queue` may not be set in a workspace file") && why.contains("--queue"),
            "{why}"
        );
    }
}
