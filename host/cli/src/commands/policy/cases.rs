//! The cases of `policy test`: a question and the expected answer a line, in the words of `pipefold hook`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use pipefold::{Job, Run};
use pipefold_sandbox::{OwnedQuestion, Question};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::hook::{MAX_INPUT, named, question};
use super::Wrong;

/// The most bytes of one line: ten thousand notifications, as many as a run may have, with some fields each.
const LONGEST_LINE: usize = 16 << 20;
/// The most cases of a file, at some milliseconds each.
const MOST_CASES: usize = 10_000;

/// The cases of a file, and its bytes as they were read.
pub struct Cases {
    pub bytes: Vec<u8>,
    pub cases: Vec<Case>,
}

/// A line of the file.
pub struct Case {
    /// The number of the line, from 1.
    pub line: usize,
    /// The place of the line in the file, without its end.
    pub range: Range<usize>,
    pub name: Option<String>,
    pub config: BTreeMap<String, String>,
    /// The expected parts of the answer, in the form of an answer.
    pub expect: Option<Map<String, Value>>,
    asked: OwnedQuestion,
}

impl Case {
    pub fn question(&self) -> Question<'_> {
        self.asked.question()
    }
}

/// The keys of a line. The library refuses others, and one that is there twice.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    name: Option<String>,
    hook: Option<String>,
    notification: Option<Map<String, Value>>,
    history: Option<Vec<Map<String, Value>>>,
    config: Option<BTreeMap<String, String>>,
    expect: Option<Map<String, Value>>,
}

impl Cases {
    /// Reads the cases of a file. `with_config` is false if the cases may not have settings of their own.
    pub fn read(path: &Path, with_config: bool) -> Result<Self, Wrong> {
        let shown = path.display();
        let unreadable = |error: std::io::Error| Wrong(format!("cannot read {shown}: {error}"));
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(unreadable)?;
        file.take(MAX_INPUT + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > MAX_INPUT {
            return Err(Wrong(format!(
                "{shown} has more than {} MiB, the most of a file of cases",
                MAX_INPUT >> 20
            )));
        }
        let mut cases = Vec::new();
        let mut begin = 0;
        for (line, text) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            let range = begin..begin + text.len();
            begin = range.end + 1;
            if text.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            if cases.len() == MOST_CASES {
                return Err(Wrong(format!(
                    "{shown}:{line}: the file has more than {MOST_CASES} cases"
                )));
            }
            let read = case(text, line, range, with_config).map_err(|why| Wrong(format!("{shown}:{line}{why}")))?;
            cases.push(read);
        }
        if cases.is_empty() {
            return Err(Wrong(format!("{shown} has no case: write one JSON object a line")));
        }
        Ok(Self { bytes, cases })
    }
}

/// Reads a line. The error begins behind the number of the line.
fn case(text: &[u8], line: usize, range: Range<usize>, with_config: bool) -> Result<Case, String> {
    if text.len() > LONGEST_LINE {
        return Err(format!(": the line has more than {} MiB", LONGEST_LINE >> 20));
    }
    // A structure would also be read from a list, by position.
    if text.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(": a case is a JSON object".to_owned());
    }
    let read: Line = serde_json::from_slice(text).map_err(|error| {
        let message = error.to_string();
        let message = message
            .rsplit_once(" at line ")
            .map_or(message.as_str(), |(message, _)| message);
        format!(":{}: {message}", error.column())
    })?;
    if read.config.is_some() && !with_config {
        return Err(": `config` is for a component; the tables [[policy]] have their own".to_owned());
    }
    let hook = read.hook.ok_or(": `hook` is missing: start, step or finish")?;
    let asked = question(&hook, read.notification, read.history).map_err(|error| format!(": {error:#}"))?;
    Ok(Case {
        line,
        range,
        name: read.name,
        config: read.config.unwrap_or_default(),
        expect: read.expect.map(expected).transpose()?,
        asked,
    })
}

/// The keys of an expected answer beside its kind.
const PARTS: [(&str, &[&str]); 3] = [("report", &["run", "jobs"]), ("hold", &[]), ("discard", &["reason"])];

/// Checks an expected answer, and brings it into the form of an answer.
fn expected(mut expect: Map<String, Value>) -> Result<Map<String, Value>, String> {
    let only = |key: &str, expect: &Map<String, Value>| match expect.keys().find(|other| *other != key) {
        Some(other) => Err(format!(": expect: `{other}` does not go with `{key}`")),
        None => Ok(()),
    };
    if let Some(text) = expect.get("failure") {
        only("failure", &expect)?;
        return match text.as_str() {
            Some(_) => Ok(expect),
            None => Err(": expect.failure: give a text, a part of the message".to_owned()),
        };
    }
    if let Some(violations) = expect.get("violations") {
        only("violations", &expect)?;
        check_violations(violations)?;
        return Ok(expect);
    }
    let verdict = expect.get("verdict").and_then(Value::as_str).unwrap_or_default();
    let Some((verdict, parts)) = PARTS.iter().find(|(name, _)| *name == verdict) else {
        return Err(
            ": expect: give \"verdict\": \"report\", \"hold\" or \"discard\", or `violations` or `failure`".to_owned(),
        );
    };
    if let Some(other) = expect
        .keys()
        .find(|key| *key != "verdict" && !parts.contains(&key.as_str()))
    {
        return Err(match parts {
            [] => format!(": expect: `{other}` does not go with the verdict {verdict}"),
            _ => format!(
                ": expect: `{other}` does not go with the verdict {verdict}; it may have `{}`",
                parts.join("` and `")
            ),
        });
    }
    if expect.get("reason").is_some_and(|reason| !reason.is_string()) {
        return Err(": expect.reason: give a text".to_owned());
    }
    if let Some(run) = expect.get_mut("run") {
        let Value::Object(object) = run.take() else {
            return Err(": expect.run: give an object".to_owned());
        };
        *run = read::<Run>(object, "expect.run", "a run")?;
    }
    if let Some(jobs) = expect.get_mut("jobs") {
        let Value::Array(list) = jobs.take() else {
            return Err(": expect.jobs: give a list of objects".to_owned());
        };
        let numbered = list.into_iter().zip(1..).map(|(job, number)| match job {
            Value::Object(object) => read::<Job>(object, &format!("expect.jobs[{number}]"), "a job"),
            _ => Err(format!(": expect.jobs[{number}]: give an object")),
        });
        *jobs = numbered.collect::<Result<Vec<_>, _>>()?.into();
    }
    Ok(expect)
}

/// Reads a part of a report, and writes it as an answer has it: without fields that are null.
fn read<T: serde::de::DeserializeOwned + serde::Serialize>(
    object: Map<String, Value>,
    place: &str,
    what: &str,
) -> Result<Value, String> {
    let given: T = named(object, place, what).map_err(|error| format!(": {error:#}"))?;
    Ok(json!(given))
}

/// Checks that expected violations are objects with some of the keys of a violation.
fn check_violations(violations: &Value) -> Result<(), String> {
    let keys = ["fault", "field", "message"];
    let is_right = |violation: &Value| {
        let object = violation.as_object().filter(|object| !object.is_empty());
        object.is_some_and(|object| {
            object
                .iter()
                .all(|(key, value)| keys.contains(&key.as_str()) && value.is_string())
        })
    };
    let list = violations.as_array().filter(|list| !list.is_empty());
    match list.is_some_and(|list| list.iter().all(is_right)) {
        true => Ok(()),
        false => Err(
            ": expect.violations: give a list of objects with `fault`, `field` and `message`, or some of them"
                .to_owned(),
        ),
    }
}
