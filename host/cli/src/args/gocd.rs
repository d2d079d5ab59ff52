//! The reader of GoCD's feeds: `gocd sync` and `gocd watch`.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Arg, ArgMatches, Args, Command, Subcommand, ValueEnum};
use pipefold::config::{parse_age, server_id_problem};
use pipefold_gocd::documents::Name;
use pipefold_gocd::mapping::ServerId;

use super::values::{duration, text};

/// Report the pipelines of a GoCD server, with nothing installed in any of them
///
/// Reads the server's feeds and documents, and reports every pipeline's runs to DX. It needs a user who may view the pipelines, and changes
/// nothing on the server.
#[derive(Debug, Args)]
pub(crate) struct GocdArgs {
    #[command(subcommand)]
    pub(crate) command: GocdCommand,
}

/// Once, or on and on.
#[derive(Debug, Subcommand)]
pub(crate) enum GocdCommand {
    /// Read once what is new since the last time, the first time everything, and end
    ///
    /// How far it came is kept on disk: when it is killed, the next one goes on from there.
    #[command(after_help = "\
Examples:
  pipefold gocd sync --server https://gocd.example.com/go --user reader --password-file secret
  pipefold gocd sync --server https://gocd.example.com/go --since 90d --dry-run
  pipefold gocd sync main        the server of that name in /etc/pipefold.toml")]
    Sync {
        #[command(flatten)]
        read: ReadArgs,
        /// How long to try to deliver at the end, counted from the last run that DX took
        #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
        timeout: Duration,
    },
    /// Read what is new, again and again
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

/// Which server, what of it, and as what.
#[derive(Debug, Args)]
pub(crate) struct ReadArgs {
    /// A server of the configuration file, by its name in [[gocd.server]]; the only one if there is one
    #[arg(value_name = "NAME", value_parser = text())]
    pub(crate) name: Option<String>,

    /// Address of the GoCD server [env: PIPEFOLD_GOCD_URL]
    #[arg(long, value_name = "URL", value_parser = text(), help_heading = SERVER)]
    pub(crate) server: Option<String>,

    /// What names the server in reference ids [env: PIPEFOLD_GOCD_SERVER_ID] [default: its host]
    ///
    /// One server has many addresses; jobs that report from inside have to use the same name. A server that was set up again, and counts
    /// its runs from 1 again, needs another; for one pipeline there is --restarted.
    #[arg(long, value_name = "ID", value_parser = server_id, help_heading = SERVER)]
    pub(crate) server_id: Option<String>,

    /// The pipeline's counters began again: what names the server in the reference ids of its runs since then; repeat it for more
    ///
    /// A pipeline whose newest run has a lower counter than one that was seen before is held back until this is said. With another ID than
    /// the server's its new runs are runs of their own; with the server's own they become parts of the old ones.
    #[arg(long, value_name = "PIPELINE=ID", value_parser = restarted, help_heading = SERVER)]
    pub(crate) restarted: Vec<(Name, ServerId)>,

    /// User name, for a password [env: GOCD_PASSWORD, the password itself]
    #[arg(long, value_name = "NAME", value_parser = text(), help_heading = SERVER)]
    pub(crate) user: Option<String>,

    /// File that holds the password
    #[arg(long, value_name = "FILE", help_heading = SERVER)]
    pub(crate) password_file: Option<PathBuf>,

    /// File that holds an access token, from GoCD 19.2 on [env: GOCD_ACCESS_TOKEN, the token itself]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["user", "password_file"], help_heading = SERVER)]
    pub(crate) access_token_file: Option<PathBuf>,

    /// Send the password or token over plain http too, where everyone on the way can read it
    #[arg(long, help_heading = SERVER)]
    pub(crate) insecure_http: bool,

    /// Only pipelines of this name, with * and ?; repeat it for more. One that fits no pipeline is an error
    #[arg(long, value_name = "GLOB", value_parser = text(), help_heading = WHAT)]
    pub(crate) pipelines: Vec<String>,

    /// Only runs since then: a date, a time, or an age such as 90d [default: everything]
    #[arg(long, value_name = "DATE|AGE", value_parser = parse_since, help_heading = WHAT)]
    pub(crate) since: Option<Since>,

    /// Which of the server's two feeds to read [default: the old one where there is one]
    #[arg(long, value_name = "WHICH", help_heading = WHAT)]
    pub(crate) dialect: Option<DialectName>,

    /// Ask for each run's own revisions too: one more request a run, where the new feeds lack them
    #[arg(long, help_heading = WHAT)]
    pub(crate) enrich: bool,

    /// What becomes of stages that are run again [default: attempts]
    #[arg(long, value_name = "HOW", help_heading = HOW)]
    pub(crate) reruns: Option<RerunsName>,

    /// With --reruns latest: how long a run must be quiet before it is reported [default: 1h]
    #[arg(long, value_name = "TIME", value_parser = parse_age, help_heading = HOW)]
    pub(crate) quiet_for: Option<Duration>,

    /// Whether a stage that a person let run later moves the end of the run [default: keep]
    #[arg(long, value_name = "HOW", help_heading = HOW)]
    pub(crate) late_stages: Option<LateStagesName>,

    /// A pipeline's run is no success before this stage has passed; repeat it for more
    #[arg(long = "final-stage", value_name = "PIPELINE=STAGE", value_parser = final_stage, help_heading = HOW)]
    pub(crate) final_stages: Vec<(Name, Name)>,

    /// Which repository a run is about, where its pipeline has several: owner/name, with * [default: the first]
    #[arg(long, value_name = "PATTERN", value_parser = text(), help_heading = HOW)]
    pub(crate) material: Option<String>,

    /// File of e-mail addresses of GoCD's users, one `NAME = ADDRESS` a line
    #[arg(long, value_name = "FILE", help_heading = HOW)]
    pub(crate) user_map: Option<PathBuf>,

    /// The address under which people see the server, for links [default: --server]
    #[arg(long, value_name = "URL", value_parser = text(), help_heading = HOW)]
    pub(crate) pages_url: Option<String>,

    /// Directory where it is kept how far the server was read [default: gocd, in the spool]
    ///
    /// Remove it to have everything read and reported again, which does no harm.
    #[arg(long, value_name = "DIR", help_heading = HOW)]
    pub(crate) state: Option<PathBuf>,
}

const SERVER: &str = "Server";
const WHAT: &str = "What is read";
const HOW: &str = "How to report it";

/// Since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    /// That moment.
    At(chrono::DateTime<chrono::Utc>),
    /// So long before now.
    Ago(Duration),
}

impl Since {
    /// The moment that it is at `now`.
    pub(crate) fn moment(self, now: chrono::DateTime<chrono::Utc>) -> chrono::DateTime<chrono::Utc> {
        match self {
            Self::At(moment) => moment,
            Self::Ago(age) => chrono::TimeDelta::from_std(age)
                .ok()
                .and_then(|age| now.checked_sub_signed(age))
                .unwrap_or(chrono::DateTime::UNIX_EPOCH),
        }
    }
}

/// Words for the dialects that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DialectName {
    /// /go/api/pipelines.xml, up to GoCD 20.3
    Old,
    /// /go/api/feed/pipelines.xml, from GoCD 20.1 on
    New,
}

/// Words for what becomes of stages that are run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RerunsName {
    /// They begin another attempt, a run of its own in DX, which never takes a failure back
    Attempts,
    /// The latest run of each stage counts; a run is reported when it was quiet for a while
    Latest,
    /// Everything counts: a failure stays one
    Merge,
}

/// Words for what becomes of stages that a person let run later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LateStagesName {
    /// Its result counts, the run's end stays
    Keep,
    /// Its end is the run's end
    Extend,
}

/// A date, a time (RFC 3339) or an age.
pub(crate) fn parse_since(text: &str) -> Result<Since, String> {
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

/// A pipeline and what names its server.
pub(crate) fn restarted(text: &str) -> Result<(Name, ServerId), String> {
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

const SECRET: &str = "refused-gocd-secret";

/// The error for a secret on the command line.
pub(super) const REFUSAL: &str = "a password or token is never an argument, where every process can read it; use GOCD_PASSWORD or \
                                  --password-file, GOCD_ACCESS_TOKEN or --access-token-file, and replace one that was given on a \
                                  command line";

/// Makes `--password` and its kin known, so that they can be refused without being shown; see [`super::token::known`].
pub(super) fn known(command: Command) -> Command {
    let add = |command: Command| {
        let secret = Arg::new(SECRET).long("password").aliases(["access-token"]);
        command.arg(
            secret
                .value_parser(OsStringValueParser::new().map(|_| ()))
                .hide(true)
                .num_args(0..=1)
                .allow_hyphen_values(true)
                .overrides_with(SECRET),
        )
    };
    command.mut_subcommand("gocd", |gocd| {
        gocd.mut_subcommand("sync", add).mut_subcommand("watch", add)
    })
}

/// True if one was given.
pub(super) fn secret_was_given(matches: &ArgMatches) -> bool {
    let gocd = matches.subcommand_matches("gocd");
    gocd.and_then(ArgMatches::subcommand)
        .is_some_and(|(_, matches)| matches.contains_id(SECRET))
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
