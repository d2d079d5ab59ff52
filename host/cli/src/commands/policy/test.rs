//! `policy test`: the answers of policies beside the expected ones.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Context as _;
use pipefold_sandbox::foreign;
use serde_json::{Map, Value, json};

use super::super::{print_json, print_lines};
use super::cases::{Case, Cases};
use super::difference::{Difference, differences, shown};
use super::subject::{Loaded, Monitored, Subject};
use super::update::{replace, with_expectation};
use super::usage::Usage;
use super::{Wrong, answer, refused};
use crate::args::{GlobalFlags, TestArgs};
use crate::terminal::excerpt;

/// `pipefold policy test`
pub fn run(global: &GlobalFlags, args: &TestArgs) -> anyhow::Result<ExitCode> {
    let subject = Subject::of(&args.file);
    let cases = match Cases::read(&args.cases, matches!(subject, Subject::Component(_))) {
        Ok(cases) => cases,
        Err(wrong) => return Ok(refused(&wrong)),
    };
    let outcomes = match ask(global, &subject, &cases.cases) {
        Ok(outcomes) => outcomes,
        Err(wrong) => return Ok(refused(&wrong)),
    };
    let updated = args.update && update(args, &cases, &outcomes)?;
    let report = Report {
        global,
        args,
        outcomes: &outcomes,
        updated,
    };
    report.print()
}

/// A case with its answer.
struct Outcome<'a> {
    case: &'a Case,
    answer: Map<String, Value>,
    differences: Vec<Difference>,
    calls: Vec<Usage>,
}

impl Outcome<'_> {
    fn has_passed(&self) -> bool {
        self.case.expect.is_some() && self.differences.is_empty()
    }

    /// True if the answer may become the expected one. A failure may not: a broken policy would pass from then on.
    fn is_update(&self) -> bool {
        !self.has_passed() && !self.answer.contains_key("failure")
    }
}

/// Asks all questions.
fn ask<'a>(global: &GlobalFlags, subject: &Subject, cases: &'a [Case]) -> Result<Vec<Outcome<'a>>, Wrong> {
    // Cases with the same settings mostly follow each other.
    let mut loaded: Option<(&BTreeMap<String, String>, Loaded)> = None;
    let mut outcomes = Vec::new();
    for case in cases {
        let policies = match loaded.take() {
            Some((config, policies)) if *config == case.config => policies,
            _ => subject.load(global, &case.config, Monitored::Enforced)?,
        };
        outcomes.push(outcome(&policies, case)?);
        loaded = Some((&case.config, policies));
    }
    Ok(outcomes)
}

/// Asks a question.
fn outcome<'a>(policies: &Loaded, case: &'a Case) -> Result<Outcome<'a>, Wrong> {
    let explained = policies.judge.explain(&case.question());
    let explained = explained.map_err(|error| Wrong(error.to_string()))?;
    let answer = answer(explained.answer);
    Ok(Outcome {
        differences: case
            .expect
            .as_ref()
            .map_or_else(Vec::new, |expect| compare(expect, &answer)),
        calls: Usage::of(&explained.visits, |policy| policies.limits.get(policy).cloned()),
        case,
        answer,
    })
}

/// The kind of an answer: its verdict, or the key that it has in place of one.
fn kind(answer: &Map<String, Value>) -> &str {
    let verdict = || answer.get("verdict").and_then(Value::as_str);
    let instead = ["violations", "failure"]
        .into_iter()
        .find(|key| answer.contains_key(*key));
    instead.or_else(verdict).unwrap_or_default()
}

/// The parts of an answer that differ from the expected ones. Of an answer of another kind these are its kind and reason, and not all its
/// fields.
fn compare(expect: &Map<String, Value>, answer: &Map<String, Value>) -> Vec<Difference> {
    let is_other = kind(expect) != kind(answer);
    let is_compared = |key: &str| match is_other {
        true => !["run", "jobs"].contains(&key),
        false => expect.contains_key(key),
    };
    let part = |(key, found): (&String, &Value)| {
        let found = match (key.as_str(), expect.get(key), found) {
            ("failure", Some(Value::String(text)), Value::String(found)) if found.contains(text) => json!(text),
            ("violations", Some(Value::Array(expected)), Value::Array(found)) => of_keys_named(expected, found),
            _ => found.clone(),
        };
        (key.clone(), found)
    };
    let found: Map<String, Value> = answer.iter().filter(|(key, _)| is_compared(key)).map(part).collect();
    let expected = expect.iter().filter(|(key, _)| is_compared(key));
    let expected: Map<String, Value> = expected.map(|(key, value)| (key.clone(), value.clone())).collect();
    differences(&expected.into(), &found.into())
}

/// The violations that were found, each with the keys that the expected one in its place names.
fn of_keys_named(expected: &[Value], found: &[Value]) -> Value {
    let cut = |(at, found): (usize, &Value)| match (expected.get(at), found) {
        (Some(Value::Object(named)), Value::Object(found)) => {
            let kept = found.iter().filter(|(key, _)| named.contains_key(*key));
            Value::Object(kept.map(|(key, value)| (key.clone(), value.clone())).collect())
        }
        _ => found.clone(),
    };
    found.iter().enumerate().map(cut).collect()
}

/// Writes the answers of failed cases into the file. Returns true if there were any.
fn update(args: &TestArgs, cases: &Cases, outcomes: &[Outcome<'_>]) -> anyhow::Result<bool> {
    let mut new = Vec::with_capacity(cases.bytes.len());
    let mut kept = 0;
    for outcome in outcomes.iter().filter(|outcome| outcome.is_update()) {
        let range = outcome.case.range.clone();
        let answer = foreign::json(&serde_json::to_string(&outcome.answer)?);
        new.extend_from_slice(&cases.bytes[kept..range.start]);
        kept = range.end;
        new.extend(with_expectation(&cases.bytes[range], &answer));
    }
    if kept == 0 {
        return Ok(false);
    }
    new.extend_from_slice(&cases.bytes[kept..]);
    replace(&args.cases, &cases.bytes, &new)
        .with_context(|| format!("{} is as it was: it cannot be updated", args.cases.display()))?;
    Ok(true)
}

/// The answer of the command.
struct Report<'a> {
    global: &'a GlobalFlags,
    args: &'a TestArgs,
    outcomes: &'a [Outcome<'a>],
    /// True if the file was updated.
    updated: bool,
}

impl Report<'_> {
    fn print(&self) -> anyhow::Result<ExitCode> {
        let passed = self.outcomes.iter().filter(|outcome| outcome.has_passed()).count();
        let updated = self.outcomes.iter().filter(|outcome| self.is_updated(outcome)).count();
        let failed = self.outcomes.len() - passed - updated;
        if self.global.json {
            for outcome in self.outcomes {
                print_json(&self.json(outcome))?;
            }
            print_json(&json!({ "passed": passed, "failed": failed, "updated": updated }))?;
        } else {
            let mut lines: Vec<String> = self.outcomes.iter().flat_map(|outcome| self.lines(outcome)).collect();
            let cases = if passed == 1 { "case" } else { "cases" };
            let mut summary = format!("{passed} {cases} passed, {failed} failed");
            if self.args.update {
                summary += &format!(", {updated} updated");
            }
            lines.push(summary);
            print_lines(&(lines.join("\n") + "\n"))?;
        }
        Ok(ExitCode::from(u8::from(failed > 0)))
    }

    fn is_updated(&self, outcome: &Outcome<'_>) -> bool {
        self.updated && outcome.is_update()
    }

    fn json(&self, outcome: &Outcome<'_>) -> Value {
        let field = |it: &Difference| json!({ "field": it.field, "expected": it.before, "found": it.after });
        json!({
            "line": outcome.case.line,
            "name": outcome.case.name,
            "passed": outcome.has_passed(),
            "updated": self.is_updated(outcome),
            "differences": outcome.differences.iter().map(field).collect::<Vec<_>>(),
            "answer": outcome.answer,
            "policies": outcome.calls.iter().map(Usage::json).collect::<Vec<_>>(),
        })
    }

    fn lines(&self, outcome: &Outcome<'_>) -> Vec<String> {
        let case = outcome.case;
        let word = match () {
            () if outcome.has_passed() && self.global.verbose == 0 => return Vec::new(),
            () if outcome.has_passed() => "passed",
            () if self.is_updated(outcome) => "updated",
            () if case.expect.is_none() => "no `expect`, which --update writes",
            () => "failed",
        };
        let name = case.name.as_deref().map(|name| format!(": {}", excerpt(name)));
        let title = format!(
            "{}:{}: {word}{}",
            self.args.cases.display(),
            case.line,
            name.unwrap_or_default()
        );
        let mut lines = vec![title];
        for Difference { field, before, after } in &outcome.differences {
            let sides = [("-", before), ("+", after)].map(|(sign, side)| (sign, side.as_ref()));
            let line = |(sign, side)| format!("  {sign} {field}: {}", shown(side));
            // A side that is absent says no more than the other one.
            lines.extend(sides.into_iter().filter(|(_, side)| side.is_some()).map(line));
        }
        if self.global.verbose > 0 {
            lines.extend(outcome.calls.iter().map(|call| format!("  {}", call.line())));
        }
        lines
    }
}
