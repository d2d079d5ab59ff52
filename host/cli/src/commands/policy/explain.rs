//! `policy explain`: a question's way through the policies, field by field.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use chrono::{SecondsFormat, Utc};
use pipefold::config::Environment;
use pipefold::detect::Field;
use pipefold::{Judge, Notification, Verdict, foreign};
use pipefold_sandbox::{Outcome, OwnedQuestion, Role, Visit};
use serde_json::{Map, Value, json};

use super::super::context::{fields, settings};
use super::super::diagnostic::{print, remark};
use super::super::hook::{MAX_INPUT, notification};
use super::super::{policies, print_json, print_lines};
use super::difference::{Difference, differences, leaves, shown};
use super::subject::{Monitored, Subject};
use super::usage::Usage;
use super::{Wrong, answer, refused};
use crate::args::{ExplainArgs, GlobalFlags, HookName};
use crate::terminal::{excerpt, neutral};

/// `pipefold policy explain`
pub fn run(global: &GlobalFlags, args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let (judge, question) = match asked(global, args) {
        Ok(asked) => asked,
        Err(wrong) => return Ok(refused(&wrong)),
    };
    let explained = judge.explain(&question.question())?;
    let explanation = Explanation {
        hook: question.hook(),
        changes: changes(&explained.visits),
        by: decided_by(&explained.visits).map(by),
        visits: explained.visits,
        answer: Value::Object(answer(explained.answer)),
    };
    if global.json {
        print_json(&explanation.json())?;
    } else {
        print_lines(&(explanation.lines(global.verbose > 0).join("\n") + "\n"))?;
    }
    Ok(ExitCode::from(match () {
        () if explanation.answer.get("violations").is_some() => 2,
        () if explanation.answer.get("failure").is_some() => 1,
        () => 0,
    }))
}

/// The policies and the question that the command line names.
fn asked(global: &GlobalFlags, args: &ExplainArgs) -> Result<(Judge, OwnedQuestion), Wrong> {
    let environment = Environment::from_process();
    let mut given = fields(&args.fields);
    for (field, value) in [(Field::Step, &args.step), (Field::Status, &args.status)] {
        if let Some(value) = value {
            given.set_flag(field, value.as_str());
        }
    }
    given.step_id.clone_from(&args.step_id);
    let wrong = |error: super::super::diagnostic::Diagnostic| Wrong(error.text().to_owned());
    let settings = settings(global, given, &environment).map_err(wrong)?;
    let judge = match &args.file {
        Some(_) if !global.policies.is_empty() => {
            return Err(Wrong(
                "name the policies by FILE or by --policy, not by both".to_owned(),
            ));
        }
        Some(file) => {
            Subject::of(file)
                .load(global, &BTreeMap::new(), Monitored::Beside)?
                .judge
        }
        None => {
            let mut diagnostics = Vec::new();
            let judge = policies::judge(global, &environment, &settings, &mut diagnostics).map_err(wrong)?;
            print(&diagnostics, global);
            policies::with_monitored(&judge);
            judge
        }
    };
    if !judge.has_policies() && !judge.has_monitored() {
        return Err(Wrong(
            "there is no policy to explain: name a component or a TOML file, or use --policy or --config".to_owned(),
        ));
    }
    let question = match &args.from {
        Some(path) => question_of(&read(path)?, args.hook)?,
        None => {
            let (event, violations) = settings.fields.to_notification();
            if !violations.is_empty() {
                return Err(Wrong(foreign::listed(&violations)));
            }
            let hook = args.hook.unwrap_or(hook_of(&event));
            question(hook, vec![with_examples(global, event)])?
        }
    };
    Ok((judge, question))
}

/// Fills in the required fields that are missing.
fn with_examples(global: &GlobalFlags, mut event: Notification) -> Notification {
    let now = || Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
    let is_step = event.step.is_some();
    let mut filled = Vec::new();
    let mut fill = |name: &'static str, field: &mut Option<String>, example: &dyn Fn() -> String| {
        if field.is_none() {
            *field = Some(example());
            filled.push(name);
        }
    };
    fill("pipeline_name", &mut event.pipeline_name, &|| "example".to_owned());
    fill("pipeline_source", &mut event.pipeline_source, &|| "example".to_owned());
    fill("reference_id", &mut event.reference_id, &|| "example-1".to_owned());
    if !is_step {
        fill("started_at", &mut event.started_at, &now);
    }
    if let Some((last, others)) = filled.split_last() {
        let names = match others {
            [] => (*last).to_owned(),
            others => format!("{} and {last}", others.join(", ")),
        };
        let verb = if others.is_empty() {
            "is an example"
        } else {
            "are examples"
        };
        remark(global, &format!("{names} {verb}, as no flag gives them"));
    }
    event
}

/// The bytes of a file or of stdin, within their bound.
fn read(path: &Path) -> Result<Vec<u8>, Wrong> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| Wrong(format!("cannot read {shown}: {error}"));
    let input: Box<dyn Read> = match path.as_os_str() == "-" {
        true => Box::new(std::io::stdin().lock()),
        false => Box::new(File::open(path).map_err(unreadable)?),
    };
    let mut bytes = Vec::new();
    input.take(MAX_INPUT + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    match bytes.len() as u64 > MAX_INPUT {
        true => Err(Wrong(format!(
            "{shown} has more than {} MiB, more than any valid history",
            MAX_INPUT >> 20
        ))),
        false => Ok(bytes),
    }
}

/// Reads a notification, or a list of them.
fn question_of(bytes: &[u8], hook: Option<HookName>) -> Result<OwnedQuestion, Wrong> {
    let what = "--from is not the JSON object of a notification, nor a list of them";
    let given: Value = serde_json::from_slice(bytes).map_err(|error| Wrong(format!("{what}: {error}")))?;
    let event = |(object, place): (Value, String)| match object {
        Value::Object(object) => notification(object, &place).map_err(|error| Wrong(format!("{error:#}"))),
        _ => Err(Wrong(format!("{place}: {what}"))),
    };
    match given {
        Value::Array(list) => {
            let numbered = (1..)
                .zip(list)
                .map(|(number, one)| (one, format!("--from, notification {number}")));
            let history = numbered.map(event).collect::<Result<_, _>>()?;
            question(hook.unwrap_or(HookName::Finish), history)
        }
        one => {
            let one = event((one, "--from".to_owned()))?;
            question(hook.unwrap_or(hook_of(&one)), vec![one])
        }
    }
}

fn hook_of(event: &Notification) -> HookName {
    match event.step {
        Some(_) => HookName::Step,
        None => HookName::Start,
    }
}

fn question(hook: HookName, mut history: Vec<Notification>) -> Result<OwnedQuestion, Wrong> {
    let mut one = || match history.len() {
        1 => Ok(history.remove(0)),
        count => Err(Wrong(format!(
            "the hook takes one notification, and there are {count}: use --hook finish"
        ))),
    };
    match hook {
        HookName::Start => one().map(OwnedQuestion::PipelineStart),
        HookName::Step => one().map(OwnedQuestion::Step),
        HookName::Finish => Ok(OwnedQuestion::PipelineFinish(history)),
        HookName::Merge => Err(Wrong("policies are not asked about a merge".to_owned())),
    }
}

/// A field that a policy changed.
struct Change {
    by: String,
    monitored: bool,
    difference: Difference,
}

/// The changes, in the order in which they were made: of questions on the way in, of reports on the way out.
fn changes(visits: &[Visit]) -> Vec<Change> {
    let policies = || {
        visits
            .iter()
            .enumerate()
            .filter(|(_, visit)| visit.role != Role::Plugin)
    };
    let by_visit = |visit: &Visit, found: Vec<Difference>| -> Vec<Change> {
        let change = |difference| Change {
            by: by(visit),
            monitored: visit.monitored,
            difference,
        };
        found.into_iter().map(change).collect()
    };
    let inwards = policies().flat_map(|(_, visit)| {
        let passed = visit.passed.as_ref();
        by_visit(
            visit,
            passed.map_or_else(Vec::new, |passed| of_questions(&visit.question, passed)),
        )
    });
    let outwards = policies().rev().flat_map(|(place, visit)| {
        let found = match (&visit.answer, inner(visits, place)) {
            (Ok(Verdict::Report(gave)), Some(Verdict::Report(got))) => {
                let side = |report: &pipefold::Report| json!({ "run": report.run, "jobs": report.jobs });
                differences(&side(got), &side(gave))
            }
            _ => Vec::new(),
        };
        by_visit(visit, found)
    });
    inwards.chain(outwards).collect()
}

/// The answer that the visit at `place` got of the next link, if that call is known.
fn inner(visits: &[Visit], place: usize) -> Option<&Verdict> {
    let passed = visits[place].passed.as_ref()?;
    let behind = visits[place + 1..].iter().rev().filter(|visit| !visit.monitored);
    let mut behind = behind.filter(|visit| visit.question == *passed);
    behind.next()?.answer.as_ref().ok()
}

/// The fields of notifications that differ. Those of a history go by their places, or by their steps where some were left out.
fn of_questions(before: &OwnedQuestion, after: &OwnedQuestion) -> Vec<Difference> {
    match (before.notifications(), after.notifications()) {
        ([before], [after]) => differences(&json!(before), &json!(after)),
        (before, after) if before.len() == after.len() => {
            differences(&json!({ "history": before }), &json!({ "history": after }))
        }
        (before, after) => {
            let (before, after) = (by_step(before), by_step(after));
            let names = before
                .keys()
                .chain(after.keys().filter(|name| !before.contains_key(*name)));
            names
                .flat_map(|name| match (before.get(name), after.get(name)) {
                    (Some(before), Some(after)) => {
                        let side = |value: &Value| Value::Object(Map::from_iter([(name.clone(), value.clone())]));
                        differences(&side(before), &side(after))
                    }
                    (before, after) => vec![Difference {
                        field: name.clone(),
                        before: before.cloned(),
                        after: after.cloned(),
                    }],
                })
                .collect()
        }
    }
}

/// Notifications by their steps, those of one step by their order.
fn by_step(history: &[Notification]) -> BTreeMap<String, Value> {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    let mut found = BTreeMap::new();
    for event in history {
        let id = event.step_id.as_deref().or(event.step.as_deref());
        let count = counts.entry(id.unwrap_or_default()).or_default();
        *count += 1;
        let name = id.map_or_else(|| "run".to_owned(), |id| format!("step[{id}]"));
        let name = if *count > 1 { format!("{name}[{count}]") } else { name };
        found.insert(name, json!(event));
    }
    found
}

fn by(visit: &Visit) -> String {
    match visit.role {
        Role::Plugin => "the rules".to_owned(),
        _ => visit.policy.clone(),
    }
}

/// The call that decided against a report: the innermost one with that verdict.
fn decided_by(visits: &[Visit]) -> Option<&Visit> {
    let mut asked = visits.iter().filter(|visit| !visit.monitored);
    let decided = |visit: &&Visit| matches!(visit.answer, Ok(Verdict::Hold | Verdict::Discard(_)));
    asked.rfind(decided)
}

/// The answer of the command.
struct Explanation {
    hook: &'static str,
    changes: Vec<Change>,
    visits: Vec<Visit>,
    answer: Value,
    /// The link that held or discarded.
    by: Option<String>,
}

impl Explanation {
    fn json(&self) -> Value {
        let change = |change: &Change| {
            json!({
                "policy": change.by,
                "monitored": change.monitored,
                "field": change.difference.field,
                "before": change.difference.before,
                "after": change.difference.after,
            })
        };
        let visit = |(visit, usage): (&Visit, Usage)| {
            let mut call = usage.json();
            call["monitored"] = visit.monitored.into();
            call["outcome"] = visit.outcome.map(Outcome::as_str).into();
            call["failure"] = visit.answer.as_ref().err().cloned().into();
            call
        };
        let policies = self.visits.iter().filter(|visit| visit.role != Role::Plugin);
        let policies = policies.zip(Usage::of(&self.visits, |_| None));
        json!({
            "hook": self.hook,
            "changes": self.changes.iter().map(change).collect::<Vec<_>>(),
            "policies": policies.map(visit).collect::<Vec<_>>(),
            "answer": self.answer,
            "by": self.by,
        })
    }

    fn lines(&self, verbose: bool) -> Vec<String> {
        let mut lines = vec![self.hook.to_owned()];
        let width = |change: &Change| change_of(&change.difference).chars().count();
        // Long values do not move the names of all policies.
        let column = self
            .changes
            .iter()
            .map(width)
            .filter(|width| *width <= WIDEST)
            .max()
            .unwrap_or(0);
        for change in &self.changes {
            let by = excerpt(&change.by);
            let by = match change.monitored {
                true => format!("would be by {by}, which only monitors"),
                false => format!("by {by}"),
            };
            lines.push(format!("  {:column$}   {by}", change_of(&change.difference)));
        }
        if self.changes.is_empty() {
            lines.push("  no field is changed".to_owned());
        }
        for visit in self.visits.iter().filter(|visit| visit.monitored) {
            let would = match &visit.answer {
                Ok(Verdict::Discard(reason)) => format!("would discard it: {}", excerpt(reason)),
                Ok(Verdict::Hold) if self.by.is_none() => "would hold it".to_owned(),
                Err(why) if visit.outcome == Some(Outcome::Failed) => format!("would fail: {}", excerpt(why)),
                Err(why) => format!("would refuse it: {}", excerpt(why)),
                Ok(_) => continue,
            };
            lines.push(format!("  {}, which only monitors, {would}", excerpt(&visit.policy)));
        }
        if verbose {
            let calls = Usage::of(&self.visits, |_| None);
            lines.extend(calls.iter().map(|call| format!("  {}", call.line())));
        }
        lines.push(self.result());
        let parts = ["run", "jobs"]
            .into_iter()
            .filter_map(|part| Some((part, self.answer.get(part)?)));
        for (part, value) in parts {
            for (path, value) in leaves(&json!({ part: value })) {
                // A run without jobs.
                if *value != json!([]) {
                    lines.push(format!("  {}: {}", neutral(&path), shown(Some(value))));
                }
            }
        }
        lines
    }

    fn result(&self) -> String {
        let by = self
            .by
            .as_deref()
            .map(|by| format!(" by {}", excerpt(by)))
            .unwrap_or_default();
        let text = |key: &str| self.answer.get(key).and_then(Value::as_str);
        match (text("verdict"), text("failure")) {
            (Some("report"), _) => "reported".to_owned(),
            (Some("hold"), _) => format!("held{by}: nothing is sent yet"),
            (_, Some(why)) => format!("not judged: {}", excerpt(why)),
            (Some(_), _) => format!("discarded{by}: {}", excerpt(text("reason").unwrap_or_default())),
            _ => {
                let violations = self.answer.get("violations").and_then(Value::as_array);
                let named = violations.into_iter().flatten().map(|violation| {
                    let text = |key: &str| violation.get(key).and_then(Value::as_str).unwrap_or_default();
                    excerpt(&format!("{}: {}", text("field"), text("message")))
                });
                format!("refused by the rules: {}", named.collect::<Vec<_>>().join("; "))
            }
        }
    }
}

/// The widest change that others are aligned with.
const WIDEST: usize = 70;

fn change_of(difference: &Difference) -> String {
    let Difference { field, before, after } = difference;
    format!(
        "{}: {} → {}",
        neutral(field),
        shown(before.as_ref()),
        shown(after.as_ref())
    )
}
