//! The commands that read GoCD's feeds: `gocd sync` and `gocd watch`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use pipefold::config::{parse_age, parse_duration, server_id_problem};
use pipefold_gocd::documents::Name;
use pipefold_gocd::mapping::ServerId;

use super::flags::text;

/// Report the pipelines of a GoCD server, with nothing installed in any of them
///
/// Reads the server's feeds and documents, and reports every pipeline's runs to DX. It needs a user who may view the pipelines, and changes
/// nothing on the server.
#[derive(Debug, Args)]
pub struct GocdArgs {
    #[command(subcommand)]
    pub command: GocdCommand,
}

/// The commands of the reader.
#[derive(Debug, Subcommand)]
pub enum GocdCommand {
    /// Read what is new since the last time once, the first time everything, and exit
    ///
    /// The position is kept on disk: after a kill, the next `sync` continues from there.
    #[command(after_help = "\
Examples:
  pipefold gocd sync --server https://gocd.example.com/go --user reader --password-file secret
  pipefold gocd sync --server https://gocd.example.com/go --since 90d --dry-run
  pipefold gocd sync main        the server of that name in /etc/pipefold.toml")]
    Sync {
        #[command(flatten)]
        read: ReadArgs,
        /// Time to deliver for at the end, counted from the last run that DX accepted
        #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
        timeout: Duration,
    },
    /// Read what is new, repeatedly
    ///
    /// A round without news costs the server one request a pipeline, and with its new feeds one more for each run of the last 14 days.
    /// SIGINT and SIGTERM end it cleanly.
    #[command(after_help = "\
Example:
  pipefold gocd watch --server https://gocd.example.com/go --access-token-file token --every 5m")]
    Watch {
        #[command(flatten)]
        read: ReadArgs,
        /// The pause between two rounds; a server thinks for seconds about a feed [default: 60s]
        #[arg(long, value_name = "TIME", value_parser = parse_age)]
        every: Option<Duration>,
    },
}

/// The server, the choice of its runs, and the way to report them.
#[derive(Debug, Args)]
pub struct ReadArgs {
    /// A server of the configuration file, by its name in [[gocd.server]]; the only one if there is one
    #[arg(value_name = "NAME", value_parser = text())]
    pub name: Option<String>,

    /// Address of the GoCD server [env: PIPEFOLD_GOCD_URL]
    #[arg(long, value_name = "URL", value_parser = text(), help_heading = SERVER)]
    pub server: Option<String>,

    /// Name of the server in reference ids [env: PIPEFOLD_GOCD_SERVER_ID] [default: its host]
    ///
    /// One server has many addresses; jobs that report from inside have to use the same name. A server that was set up again, and counts
    /// its runs from 1 again, needs another name; for one pipeline there is --restarted.
    #[arg(long, value_name = "ID", value_parser = server_id, help_heading = SERVER)]
    pub server_id: Option<String>,

    /// New name of the server in reference ids, for a pipeline whose counters began again (repeatable)
    ///
    /// A pipeline whose newest run has a lower counter than one that was seen before is not reported without this flag. With another ID
    /// than the server's its new runs are runs of their own; with the server's own they become parts of the old ones.
    #[arg(long, value_name = "PIPELINE=ID", value_parser = restarted, help_heading = SERVER)]
    pub restarted: Vec<(Name, ServerId)>,

    /// User name, for a password [env: GOCD_PASSWORD, the password itself]
    #[arg(long, value_name = "NAME", value_parser = text(), help_heading = SERVER)]
    pub user: Option<String>,

    /// File that holds the password
    #[arg(long, value_name = "FILE", help_heading = SERVER)]
    pub password_file: Option<PathBuf>,

    /// File that holds an access token, from GoCD 19.2 on [env: GOCD_ACCESS_TOKEN, the token itself]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["user", "password_file"], help_heading = SERVER)]
    pub access_token_file: Option<PathBuf>,

    /// Send the password or token over plain http too, where others on the network can read it
    #[arg(long, help_heading = SERVER)]
    pub insecure_http: bool,

    /// Only pipelines of this name, with * and ? (repeatable). A name that matches no pipeline is an error
    #[arg(long, value_name = "GLOB", value_parser = text(), help_heading = WHAT)]
    pub pipelines: Vec<String>,

    /// Only runs since then: a date, a time, or an age such as 90d [default: everything]
    #[arg(long, value_name = "DATE|AGE", value_parser = parse_since, help_heading = WHAT)]
    pub since: Option<Since>,

    /// Feed to read of the server's two [default: the old one where there is one]
    #[arg(long, value_name = "WHICH", help_heading = WHAT)]
    pub dialect: Option<DialectName>,

    /// Ask for each run's own revisions too: one more request a run, where the new feeds lack them
    #[arg(long, help_heading = WHAT)]
    pub enrich: bool,

    /// Meaning of stages that are run again [default: attempts]
    #[arg(long, value_name = "HOW", help_heading = HOW)]
    pub reruns: Option<RerunsName>,

    /// With --reruns latest: time without activity before a run is reported [default: 1h]
    #[arg(long, value_name = "TIME", value_parser = parse_age, help_heading = HOW)]
    pub quiet_for: Option<Duration>,

    /// Effect of a stage that a person starts later on the end of the run [default: keep]
    #[arg(long, value_name = "HOW", help_heading = HOW)]
    pub late_stages: Option<LateStagesName>,

    /// Stage that has to pass before a run of the pipeline is a success (repeatable)
    #[arg(long = "final-stage", value_name = "PIPELINE=STAGE", value_parser = final_stage, help_heading = HOW)]
    pub final_stages: Vec<(Name, Name)>,

    /// Repository to report where a pipeline has several: owner/name, with * [default: the first]
    #[arg(long, value_name = "PATTERN", value_parser = text(), help_heading = HOW)]
    pub material: Option<String>,

    /// File of e-mail addresses of GoCD's users, one `NAME = ADDRESS` a line
    #[arg(long, value_name = "FILE", help_heading = HOW)]
    pub user_map: Option<PathBuf>,

    /// Address of the server for people, used in links [default: --server]
    #[arg(long, value_name = "URL", value_parser = text(), help_heading = HOW)]
    pub pages_url: Option<String>,

    /// Directory that keeps how far the server was read [default: gocd, in the spool]
    ///
    /// Remove it to read and report everything again, which does no harm.
    #[arg(long, value_name = "DIR", help_heading = HOW)]
    pub state: Option<PathBuf>,
}

const SERVER: &str = "Server";
const WHAT: &str = "Runs to read";
const HOW: &str = "How to report them";

/// The earliest run to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// A moment.
    At(chrono::DateTime<chrono::Utc>),
    /// A time before now.
    Ago(Duration),
}

impl Since {
    /// Returns the moment, counted from `now`.
    pub fn moment(self, now: chrono::DateTime<chrono::Utc>) -> chrono::DateTime<chrono::Utc> {
        match self {
            Self::At(moment) => moment,
            Self::Ago(age) => chrono::TimeDelta::from_std(age)
                .ok()
                .and_then(|age| now.checked_sub_signed(age))
                .unwrap_or(chrono::DateTime::UNIX_EPOCH),
        }
    }
}

/// The names of the feeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DialectName {
    /// /go/api/pipelines.xml, up to GoCD 20.3
    Old,
    /// /go/api/feed/pipelines.xml, from GoCD 20.1 on
    New,
}

/// The names of the meanings of a stage that is run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RerunsName {
    /// They begin another attempt, a separate run in DX, which never takes a failure back
    Attempts,
    /// The latest run of each stage counts; a run is reported after a time without activity
    Latest,
    /// Every run of a stage counts: a failure stays one
    Merge,
}

/// The names of the effects of a stage that a person starts later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LateStagesName {
    /// Its result counts, the run's end stays
    Keep,
    /// Its end is the run's end
    Extend,
}

/// Reads a date, a time (RFC 3339) or an age.
pub fn parse_since(text: &str) -> Result<Since, String> {
    use chrono::{DateTime, NaiveDate, NaiveTime};
    let text = text.trim();
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Ok(Since::At(moment.to_utc()));
    }
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Ok(Since::At(date.and_time(NaiveTime::MIN).and_utc()));
    }
    parse_age(text).map(Since::Ago).map_err(|_| {
        "give a date such as 2026-01-31, a time such as 2026-01-31T08:00:00Z, or an age in s, m, h or d such as 90d"
            .into()
    })
}

fn server_id(text: &str) -> Result<String, String> {
    match server_id_problem(text) {
        Some(problem) => Err(problem.into()),
        None => Ok(text.to_owned()),
    }
}

/// Reads a pipeline and the name of its server.
pub fn restarted(text: &str) -> Result<(Name, ServerId), String> {
    let wanted = || "give the name of a pipeline and a server's id as PIPELINE=ID".to_owned();
    let (pipeline, id) = text.split_once('=').ok_or_else(wanted)?;
    let id = id.trim();
    if let Some(problem) = server_id_problem(id) {
        return Err(problem.into());
    }
    match (Name::new(pipeline.trim()), ServerId::new(id)) {
        (Ok(pipeline), Ok(id)) => Ok((pipeline, id)),
        _ => Err(wanted()),
    }
}

fn final_stage(text: &str) -> Result<(Name, Name), String> {
    let wanted = || "give the names of a pipeline and one of its stages as PIPELINE=STAGE".to_owned();
    let (pipeline, stage) = text.split_once('=').ok_or_else(wanted)?;
    match (Name::new(pipeline.trim()), Name::new(stage.trim())) {
        (Ok(pipeline), Ok(stage)) => Ok((pipeline, stage)),
        _ => Err(wanted()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn since_takes_dates_times_and_ages() {
        let now = "2026-03-01T00:00:00Z".parse().unwrap();
        for (text, moment) in [
            ("2026-01-31", "2026-01-31T00:00:00Z"),
            ("2026-01-31T08:00:00+05:30", "2026-01-31T02:30:00Z"),
            ("1d", "2026-02-28T00:00:00Z"),
            ("90", "2026-02-28T23:58:30Z"),
            ("36500d", "1926-03-26T00:00:00Z"),
        ] {
            let moment: chrono::DateTime<chrono::Utc> = moment.parse().unwrap();
            assert_eq!(parse_since(text).unwrap().moment(now), moment, "{text}");
        }
        for text in ["", "yesterday", "2026-13-01", "2026-01-31T08:00", "90x"] {
            assert!(parse_since(text).unwrap_err().contains("such as 90d"), "{text}");
        }
    }

    #[test]
    fn a_final_stage_names_both() {
        let (pipeline, stage) = final_stage("web = deploy").unwrap();
        assert_eq!((pipeline.as_str(), stage.as_str()), ("web", "deploy"));
        for text in ["web", "=deploy", "web=", ""] {
            assert!(final_stage(text).is_err(), "{text}");
        }
    }
}
