//! `hook --stream`: answers to many questions by one process, a line of JSON each.

use std::io::{self, BufRead, Read};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use pipefold::forms::{merged, verdict};
use pipefold::{Judge, NoVerdict};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::hook::{MAX_INPUT, numbered, question};
use super::{JsonLines, PIPE};

/// A question. The library refuses other keys, and one that is there twice.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    id: Value,
    hook: String,
    notification: Option<Map<String, Value>>,
    history: Option<Vec<Map<String, Value>>>,
}

/// Answers each line of stdin until it ends. A question without a verdict gets `violations` or an `error`, and the next one its answer.
pub fn answer_all(judge: &Judge) -> anyhow::Result<ExitCode> {
    let mut input = io::BufReader::with_capacity(PIPE, io::stdin().lock());
    let mut answers = JsonLines::new();
    let mut line = Vec::new();
    while let Some(complete) = next_line(&mut input, &mut line).context("cannot read stdin")? {
        // The asker waits for its answer before it asks on.
        let reader_waits = input.buffer().is_empty();
        let is_blank = complete && line.iter().all(u8::is_ascii_whitespace);
        let answer = match complete {
            true if is_blank => continue,
            true => answer(judge, &line),
            false => json!({ "error": format!("the line has more than {} MiB", MAX_INPUT >> 20) }),
        };
        if !answers.print(&answer, reader_waits)? {
            break;
        }
    }
    answers.end()?;
    Ok(ExitCode::SUCCESS)
}

/// Reads the next line; `None` at the end of the input. Returns false for a line that is too long, which is passed over.
fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Option<bool>> {
    line.clear();
    if input.by_ref().take(MAX_INPUT + 1).read_until(b'\n', line)? == 0 {
        return Ok(None);
    }
    let is_whole = line.len() as u64 <= MAX_INPUT || line.ends_with(b"\n");
    if !is_whole {
        input.skip_until(b'\n')?;
    }
    // A long line's memory is not kept for the short ones.
    line.shrink_to(PIPE);
    Ok(Some(is_whole))
}

/// The answer to a line.
fn answer(judge: &Judge, line: &[u8]) -> Value {
    let asked: Asked = match read(line) {
        Ok(asked) => asked,
        Err(error) => return json!({ "error": format!("{error:#}") }),
    };
    let id = asked.id.clone();
    let mut answer = match ask(judge, asked) {
        Ok(Ok(answer)) => answer,
        Ok(Err(NoVerdict::Refused(refused))) => json!({ "violations": refused.violations }),
        Ok(Err(error)) => json!({ "error": error.to_string() }),
        Err(error) => json!({ "error": format!("{error:#}") }),
    };
    if let (Value::Object(answer), false) = (&mut answer, id.is_null()) {
        answer.insert("id".to_owned(), id);
    }
    answer
}

fn read(line: &[u8]) -> anyhow::Result<Asked> {
    // A structure would also be read from a list, by position.
    if line.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        bail!("a question is a JSON object: {{\"hook\": …, \"notification\": …}}");
    }
    serde_json::from_slice(line.trim_ascii_end()).map_err(|error| {
        let message = error.to_string();
        let message = message
            .rsplit_once(" at line ")
            .map_or(message.as_str(), |(message, _)| message);
        anyhow!("column {}: {message}", error.column())
    })
}

fn ask(judge: &Judge, asked: Asked) -> anyhow::Result<Result<Value, NoVerdict>> {
    let Asked {
        hook,
        notification,
        history,
        ..
    } = asked;
    Ok(match (hook.as_str(), notification, history) {
        ("merge", None, Some(history)) => judge.merge(&numbered(history)?).map(merged),
        ("merge", ..) => bail!("merge takes a `history`, a list, and no `notification`"),
        (hook, notification, history) => judge
            .ask(&question(hook, notification, history)?.question())
            .map(verdict),
    })
}
