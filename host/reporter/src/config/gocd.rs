//! The table `[gocd]` of an operator's file: the GoCD servers to read, and what jobs on their agents report.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::reader::{GOCD_KEYS, GOCD_SERVER_KEYS, SECRET_KEYS, TomlEntry};
use super::{ConfigError, Sourced, parse_age, server_id_problem};
use crate::detect::GOCD_SERVER_ID;
use crate::source::Environment;

/// GoCD's variable with the name of the user who triggered the stage.
const TRIGGER_USER: &str = "GO_TRIGGER_USER";

/// The part of its run that a job inside GoCD reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InJob {
    /// The whole run, as in any other CI system.
    #[default]
    Run,
    /// Only what the reader of the server's feeds cannot know for sure: repository, commit, pull request and branch. The reader reports the
    /// result, since a job knows neither its attempt nor the jobs after it.
    Facts,
}

impl InJob {
    /// The words for the two choices.
    pub const WORDS: [&'static str; 2] = ["run", "facts"];

    /// The choice of a word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "run" => Some(Self::Run),
            "facts" => Some(Self::Facts),
            _ => None,
        }
    }
}

/// The table `[gocd]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GocdKeys {
    /// The part of its run that a job inside GoCD reports.
    pub in_job: Option<InJob>,
    /// The server's name in the reference ids of jobs, if it is not the host of `GO_SERVER_URL`.
    pub server_id: Option<Sourced<String>>,
    /// E-mail addresses by GoCD's user name, for every server and for jobs.
    pub users: BTreeMap<String, String>,
    /// The tables `[[gocd.server]]`, in order.
    pub servers: Vec<GocdServerKeys>,
}

impl GocdKeys {
    /// Returns the variables of a job with the operator's keys in them, as detection reads variables only. A variable beats the file. A
    /// GoCD user of `users` becomes the address there, as in the reader of the server.
    pub fn completed<'e>(&self, environment: &'e Environment) -> Cow<'e, Environment> {
        let mut of_job = Cow::Borrowed(environment);
        if let Some(id) = &self.server_id
            && environment.get(GOCD_SERVER_ID).is_none()
        {
            of_job = Cow::Owned(of_job.with(GOCD_SERVER_ID, id.value.as_str()));
        }
        let known = environment.get(TRIGGER_USER).and_then(|user| {
            let user = user.trim().to_lowercase();
            self.users.iter().find(|(name, _)| name.to_lowercase() == user)
        });
        if let Some((_, address)) = known {
            of_job = Cow::Owned(of_job.with(TRIGGER_USER, address.as_str()));
        }
        of_job
    }
}

/// One table `[[gocd.server]]`. `None` is not set; the words of a choice are those of the flag of the same name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GocdServerKeys {
    /// The name by which the command finds it.
    pub name: String,
    /// The server's address.
    pub url: Option<Sourced<String>>,
    /// The server's name in reference ids.
    pub server_id: Option<Sourced<String>>,
    /// The user for a password.
    pub user: Option<String>,
    /// File that holds the password.
    pub password_file: Option<PathBuf>,
    /// File that holds an access token.
    pub access_token_file: Option<PathBuf>,
    /// Certificates to trust, in PEM.
    pub ca_file: Option<PathBuf>,
    /// True if a secret may be sent over plain http.
    pub insecure_http: Option<bool>,
    /// Patterns of the pipelines to read; none is all.
    pub pipelines: Vec<String>,
    /// The start of reading: a date, a time or an age.
    pub since: Option<Sourced<String>>,
    /// `old` or `new`.
    pub dialect: Option<&'static str>,
    /// `attempts`, `latest` or `merge`.
    pub reruns: Option<&'static str>,
    /// The time without changes after which a run is reported, with `reruns = "latest"`.
    pub quiet_for: Option<Duration>,
    /// `keep` or `extend`.
    pub late_stages: Option<&'static str>,
    /// By pipeline, the stage without whose success the run is not a success.
    pub final_stages: BTreeMap<String, String>,
    /// By pipeline whose counters began again, the server's name in the reference ids of its runs since then.
    pub restarted: BTreeMap<String, String>,
    /// Pattern of the repository of a run, by its full name, where its pipeline has several.
    pub material: Option<String>,
    /// E-mail addresses by GoCD's user name.
    pub users: BTreeMap<String, String>,
    /// The address under which people see the server's pages.
    pub pages_url: Option<Sourced<String>>,
    /// True to request each run's own revisions.
    pub enrich: Option<bool>,
    /// Directory for the position in the feeds.
    pub state: Option<PathBuf>,
    /// The pause of `watch` between two rounds.
    pub every: Option<Duration>,
}

impl GocdKeys {
    /// Reads the table.
    pub(super) fn read(table: &TomlEntry<'_>) -> Result<Self, ConfigError> {
        let mut gocd = Self::default();
        for entry in table.table()? {
            match entry.name {
                "in_job" => gocd.in_job = entry.word(&InJob::WORDS)?.and_then(InJob::of),
                "server_id" => gocd.server_id = server_id(&entry)?,
                "users" => gocd.users = texts(&entry)?,
                "server" => {
                    for table in entry.tables()? {
                        let server = GocdServerKeys::read(&table)?;
                        if gocd.servers.iter().any(|other| other.name == server.name) {
                            return Err(table.wrong(format!("there are two servers named {:?}", server.name)));
                        }
                        gocd.servers.push(server);
                    }
                }
                _ => return Err(entry.unknown(&GOCD_KEYS)),
            }
        }
        Ok(gocd)
    }
}

impl GocdServerKeys {
    fn read(table: &TomlEntry<'_>) -> Result<Self, ConfigError> {
        let mut server = Self::default();
        for entry in table.table()? {
            let sourced = |text: String| Sourced::new(text, entry.origin());
            match entry.name {
                "name" => server.name = entry.text()?.unwrap_or_default(),
                "url" => server.url = entry.text()?.map(sourced),
                "server_id" => server.server_id = server_id(&entry)?,
                "user" => server.user = entry.text()?,
                "password_file" => server.password_file = entry.path()?,
                "access_token_file" => server.access_token_file = entry.path()?,
                "ca_file" => server.ca_file = entry.path()?,
                "insecure_http" => server.insecure_http = Some(entry.boolean()?),
                "pipelines" => server.pipelines = entry.list_of_text()?,
                "since" => server.since = entry.text()?.map(sourced),
                "dialect" => server.dialect = entry.word(&["old", "new"])?,
                "reruns" => server.reruns = entry.word(&["attempts", "latest", "merge"])?,
                "quiet_for" => server.quiet_for = age(&entry)?,
                "late_stages" => server.late_stages = entry.word(&["keep", "extend"])?,
                "final_stages" => server.final_stages = texts(&entry)?,
                "restarted" => server.restarted = texts(&entry)?,
                "material" => server.material = entry.text()?,
                "users" => server.users = texts(&entry)?,
                "pages_url" => server.pages_url = entry.text()?.map(sourced),
                "enrich" => server.enrich = Some(entry.boolean()?),
                "state" => server.state = entry.path()?,
                "every" => server.every = age(&entry)?,
                name if SECRET_KEYS.contains(&name) => {
                    return Err(entry.wrong(
                        "a secret never stands in a file of settings; put it into a file of its own that `password_file` or \
                         `access_token_file` names, and change it if this file was shared"
                            .into(),
                    ));
                }
                _ => return Err(entry.unknown(&GOCD_SERVER_KEYS)),
            }
        }
        if server.name.is_empty() {
            return Err(table.wrong("a server needs a key `name`, by which `gocd sync NAME` finds it".into()));
        }
        if server.url.is_none() {
            return Err(table.wrong("a server needs a key `url`, such as \"https://gocd.example.com/go\"".into()));
        }
        Ok(server)
    }
}

fn server_id(entry: &TomlEntry<'_>) -> Result<Option<Sourced<String>>, ConfigError> {
    let Some(text) = entry.text()? else { return Ok(None) };
    match server_id_problem(&text) {
        Some(problem) => Err(entry.wrong(problem.into())),
        None => Ok(Some(Sourced::new(text, entry.origin()))),
    }
}

fn age(entry: &TomlEntry<'_>) -> Result<Option<Duration>, ConfigError> {
    let Some(text) = entry.text()? else { return Ok(None) };
    parse_age(&text).map(Some).map_err(|problem| entry.wrong(problem))
}

/// A table of text by text.
fn texts(table: &TomlEntry<'_>) -> Result<BTreeMap<String, String>, ConfigError> {
    let mut texts = BTreeMap::new();
    for entry in table.table()? {
        if let Some(text) = entry.text()? {
            texts.insert(entry.name.to_owned(), text);
        }
    }
    Ok(texts)
}
