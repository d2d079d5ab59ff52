//! Notifications made up by a fuzzer.

use arbitrary::Arbitrary;
use pipefold_plugin::{Notification, Run, Status};

/// The one notification that the targets of the sandbox and the spool are about.
#[must_use]
pub fn event() -> pipefold_sandbox::Notification {
    pipefold_sandbox::Notification {
        pipeline_name: Some("build".into()),
        pipeline_source: Some("Tekton".into()),
        reference_id: Some("r/1".into()),
        started_at: Some("2025-01-01T12:05:00Z".into()),
        ..Default::default()
    }
}

/// What a CI system said.
#[derive(Arbitrary, Debug)]
pub struct Said<'a> {
    pipeline_name: Word<'a>,
    pipeline_source: Word<'a>,
    reference_id: Name<'a>,
    started_at: Time<'a>,
    finished_at: Option<Time<'a>>,
    status: Option<Word<'a>>,
    repository: Option<Word<'a>>,
    commit_sha: Option<Word<'a>>,
    pr_number: Option<i64>,
    source_url: Option<Word<'a>>,
    head_branch: Option<Word<'a>>,
    email: Option<Word<'a>>,
    github_username: Option<Word<'a>>,
    gitlab_username: Option<Word<'a>>,
    step: Option<Word<'a>>,
    allowed_to_fail: bool,
    urgent: bool,
}

/// The run that is spoken of: mostly the same one.
#[derive(Arbitrary, Debug)]
enum Name<'a> {
    Same,
    SameAgain,
    Any(&'a str),
}

/// A text, of which few are used often: only then do notifications agree or differ in one alone.
#[derive(Arbitrary, Debug)]
enum Word<'a> {
    Short(u8),
    Status(u8),
    Any(&'a str),
    Long(u16),
}

/// A time, mostly one that there is.
#[derive(Arbitrary, Debug)]
enum Time<'a> {
    /// Within an hour, in the usual form.
    Near(u16),
    /// Any, in many forms.
    Far {
        date: [u16; 3],
        clock: [u8; 3],
        fraction: Option<u64>,
        comma: bool,
        basic: bool,
        zone: Zone,
    },
    Any(&'a str),
}

#[derive(Arbitrary, Debug)]
enum Zone {
    None,
    Utc,
    Hours(i8),
    Minutes(i16),
    MinutesBasic(i16),
}

impl Said<'_> {
    /// As a notification. A tame one keeps every rule, if the others of its history are tame too: left to chance, histories of several
    /// notifications would hardly ever be accepted.
    #[must_use]
    pub fn notification(&self, tame: bool) -> Notification {
        let word = |word: &Option<Word<'_>>| word.as_ref().map(|word| word.text(tame));
        Notification {
            pipeline_name: Some(self.pipeline_name.text(tame)),
            pipeline_source: Some(self.pipeline_source.text(tame)),
            reference_id: Some(match self.reference_id {
                Name::Any(text) if !tame => text.into(),
                _ => "r/1".into(),
            }),
            started_at: Some(self.started_at.text(tame, 0)),
            finished_at: self.finished_at.as_ref().map(|time| time.text(tame, 5000)),
            status: self.status.as_ref().map(|word| match word {
                Word::Short(index) | Word::Status(index) if tame => status(*index),
                Word::Any(_) | Word::Long(_) if tame => status(0),
                word => word.text(false),
            }),
            repository: word(&self.repository).or_else(|| tame.then(|| "getdx/some_repo".into())),
            commit_sha: word(&self.commit_sha),
            pr_number: self.pr_number.map(|number| if tame { number.max(1) } else { number }),
            source_url: word(&self.source_url),
            head_branch: word(&self.head_branch),
            email: word(&self.email),
            github_username: word(&self.github_username),
            gitlab_username: word(&self.gitlab_username),
            step: word(&self.step),
            allowed_to_fail: self.allowed_to_fail,
            urgent: self.urgent,
        }
    }
}

fn status(index: u8) -> String {
    ["unknown", "running", "success", "cancelled", "failure"][usize::from(index) % 5].into()
}

impl Word<'_> {
    fn text(&self, tame: bool) -> String {
        match self {
            // The first two are blank.
            Self::Short(index) if tame => ["a", "b", "B", "é", "a b", "ab"][usize::from(*index) % 6].into(),
            Self::Short(index) => ["", " ", "a", "b"][usize::from(*index) % 4].into(),
            Self::Status(index) => status(*index),
            Self::Any(text) if tame => format!("x{}", text.replace(char::is_control, "")),
            Self::Any(text) => (*text).into(),
            // Up to the limit of a field, 4096 bytes, and past it.
            Self::Long(length) => "x".repeat(4092 + usize::from(length % if tame { 5 } else { 8 })),
        }
    }
}

impl Time<'_> {
    /// As text. A tame one exists, and lies in one of the 4,900 years from the given one on.
    fn text(&self, tame: bool, first_year: u16) -> String {
        let (date, clock, fraction, comma, basic, zone) = match self {
            Self::Any(text) if !tame => return (*text).into(),
            Self::Any(_) => return format!("{:04}-06-01", first_year + 2025),
            Self::Near(seconds) => {
                let (minute, second) = (seconds / 60 % 60, seconds % 60);
                return format!("{:04}-01-01T12:{minute:02}:{second:02}Z", first_year + 2025);
            }
            Self::Far {
                date,
                clock,
                fraction,
                comma,
                basic,
                zone,
            } => (date, clock, fraction, comma, basic, zone),
        };
        let ((year, month, day), (hour, minute, second)) = if tame {
            let day = (first_year + 1 + date[0] % 4900, date[1] % 12 + 1, date[2] % 28 + 1);
            (day, (clock[0] % 24, clock[1] % 60, clock[2] % 61))
        } else {
            let day = (date[0] % 10_000, date[1] % 14, date[2] % 33);
            (day, (clock[0] % 25, clock[1] % 61, clock[2] % 62))
        };
        let mut text = if *basic {
            format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}")
        } else {
            format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
        };
        if let Some(digits) = fraction {
            text += &format!("{}{digits}", if *comma { ',' } else { '.' });
        }
        let hours = if tame { 24 } else { 25 };
        let offset = |minutes: i16, colon| {
            let sign = if minutes < 0 { '-' } else { '+' };
            let minutes = minutes.unsigned_abs() % (hours * 60);
            format!("{sign}{:02}{colon}{:02}", minutes / 60, minutes % 60)
        };
        text += &match *zone {
            Zone::None => String::new(),
            Zone::Utc => "Z".into(),
            Zone::Hours(hour) => format!("{:+03}", i16::from(hour) % hours.cast_signed()),
            Zone::Minutes(minutes) => offset(minutes, ":"),
            Zone::MinutesBasic(minutes) => offset(minutes, ""),
        };
        text
    }
}

/// A run, said again: what a gateway upserts after folding its part.
#[must_use]
pub fn upsert(run: Run) -> Notification {
    Notification {
        pipeline_name: Some(run.pipeline_name),
        pipeline_source: Some(run.pipeline_source),
        reference_id: Some(run.reference_id),
        started_at: Some(run.started_at),
        finished_at: run.finished_at,
        status: Some(
            match run.status {
                Status::Unknown => "unknown",
                Status::Running => "running",
                Status::Success => "success",
                Status::Cancelled => "cancelled",
                Status::Failure => "failure",
            }
            .into(),
        ),
        repository: run.repository,
        commit_sha: run.commit_sha,
        pr_number: run.pr_number,
        source_url: run.source_url,
        head_branch: run.head_branch,
        email: run.email,
        github_username: run.github_username,
        gitlab_username: run.gitlab_username,
        ..Notification::default()
    }
}
