//! `hook`: the plugin's verdict for hosts in any language, JSON in and JSON out.

use std::io::Read;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use pipefold::config::{Environment, nearest};
use pipefold::detect::Fields;
use pipefold::{Judge, NoVerdict, Notification, Report, Verdict};
use pipefold_sandbox::{OwnedQuestion, Question};
use serde::de::value::Error as NoValue;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde_json::{Map, Value, json};

use super::context::settings;
use super::diagnostic::print;
use super::{policies, print_json, stream};
use crate::args::{GlobalFlags, HookArgs, HookName};
use crate::terminal::excerpt;

/// The most bytes that are read: the largest history that the rules allow, with every character escaped in JSON.
pub const MAX_INPUT: u64 = 64 << 20;

/// `pipefold hook`
pub fn run(global: &GlobalFlags, args: &HookArgs) -> anyhow::Result<ExitCode> {
    match args.hook {
        Some(hook) => answer_one(global, hook),
        None => {
            let judge = judge(global)?;
            let code = stream::answer_all(&judge)?;
            policies::say_work(&judge, global);
            Ok(code)
        }
    }
}

fn answer_one(global: &GlobalFlags, hook: HookName) -> anyhow::Result<ExitCode> {
    let mut input = Vec::new();
    std::io::stdin()
        .lock()
        .take(MAX_INPUT + 1)
        .read_to_end(&mut input)
        .context("cannot read stdin")?;
    if input.len() as u64 > MAX_INPUT {
        bail!(
            "stdin has more than {} MiB, more than any valid history",
            MAX_INPUT >> 20
        );
    }
    let judge = judge(global)?;
    let asked = ask(&judge, hook, &input)?;
    policies::say_work(&judge, global);
    let (answer, code) = match asked {
        Ok(answer) => (answer, 0),
        Err(NoVerdict::Refused(refused)) => (json!({ "violations": refused.violations }), 2),
        Err(error) => return Err(error.into()),
    };
    print_json(&answer)?;
    Ok(ExitCode::from(code))
}

fn ask(judge: &Judge, hook: HookName, input: &[u8]) -> anyhow::Result<Result<Value, NoVerdict>> {
    Ok(match hook {
        HookName::Start => judge.ask(&Question::PipelineStart(&one(input)?)).map(verdict),
        HookName::Step => judge.ask(&Question::Step(&one(input)?)).map(verdict),
        HookName::Finish => judge.ask(&Question::PipelineFinish(&many(input)?)).map(verdict),
        HookName::Merge => judge.merge(&many(input)?).map(merged),
    })
}

/// The policies and the rules. Unlike a build, the caller of a hook waits for its answer: missing ones are a failure.
fn judge(global: &GlobalFlags) -> anyhow::Result<Judge> {
    let environment = Environment::from_process();
    let mut diagnostics = Vec::new();
    let settings = settings(global, Fields::default(), &environment)?;
    let judge = policies::judge(global, &environment, &settings, &mut diagnostics)?;
    print(&diagnostics, global);
    Ok(judge)
}

/// A merged run as the command answers it.
pub fn merged(Report { run, jobs }: Report) -> Value {
    json!({ "run": run, "jobs": jobs })
}

/// A verdict as the command answers it.
pub fn verdict(verdict: Verdict) -> Value {
    match verdict {
        Verdict::Report(Report { run, jobs }) => json!({ "verdict": "report", "run": run, "jobs": jobs }),
        Verdict::Hold => json!({ "verdict": "hold" }),
        Verdict::Discard(reason) => json!({ "verdict": "discard", "reason": reason }),
    }
}

/// Reads one notification, by the names of its fields: serde would also read a list, by position.
fn one(input: &[u8]) -> anyhow::Result<Notification> {
    let object = serde_json::from_slice(input).context("stdin is not the JSON object of one notification")?;
    notification(object, "stdin")
}

/// Reads the notifications of a run.
fn many(input: &[u8]) -> anyhow::Result<Vec<Notification>> {
    let what = "stdin is not the JSON array of a run's notifications, each an object";
    let objects: Vec<Map<String, Value>> = serde_json::from_slice(input).context(what)?;
    let numbered = objects.into_iter().zip(1..);
    numbered
        .map(|(object, number)| notification(object, &format!("stdin, notification {number}")))
        .collect()
}

/// Reads a question of its parts in a JSON object: the hook's name, and a notification or a history.
pub fn question(
    hook: &str,
    one: Option<Map<String, Value>>,
    history: Option<Vec<Map<String, Value>>>,
) -> anyhow::Result<OwnedQuestion> {
    Ok(match (hook, one, history) {
        ("start" | "pipeline-start", Some(event), None) => {
            OwnedQuestion::PipelineStart(notification(event, "notification")?)
        }
        ("step", Some(event), None) => OwnedQuestion::Step(notification(event, "notification")?),
        ("finish" | "pipeline-finish", None, Some(history)) => OwnedQuestion::PipelineFinish(numbered(history)?),
        ("start" | "pipeline-start" | "step", ..) => bail!("the hook {hook} takes a `notification`, and no `history`"),
        ("finish" | "pipeline-finish", ..) => bail!("the hook {hook} takes a `history`, a list, and no `notification`"),
        _ => bail!("there is no hook {:?}: start, step or finish", excerpt(hook)),
    })
}

/// Reads the notifications of a history.
pub fn numbered(history: Vec<Map<String, Value>>) -> anyhow::Result<Vec<Notification>> {
    let numbered = history.into_iter().zip(1..);
    numbered
        .map(|(event, number)| notification(event, &format!("history[{number}]")))
        .collect()
}

/// Reads one notification of an object; `place` is where the object is from.
pub fn notification(object: Map<String, Value>, place: &str) -> anyhow::Result<Notification> {
    named(object, place, "a notification")
}

/// Reads a value by the names of its fields, which serde would also read by position. An error names the field.
pub fn named<T: DeserializeOwned>(object: Map<String, Value>, place: &str, what: &str) -> anyhow::Result<T> {
    let names = field_names::<T>();
    if let Some(unknown) = object.keys().find(|key| !names.contains(&key.as_str())) {
        let hint = nearest(unknown, names.iter().copied()).map_or_else(
            || "wit/types.wit has them all".to_owned(),
            |near| format!("did you mean {near}?"),
        );
        let shown: String = unknown.chars().take(LONGEST_SHOWN).collect();
        bail!("{place}: `{shown}` is no field of {what}; {hint}");
    }
    match serde_json::from_value(Value::Object(object.clone())) {
        Ok(read) => Ok(read),
        // Serde's error does not name the field; by itself, the wrong field fails in the same way.
        Err(error) => {
            let fails = |(key, value): (String, Value)| {
                let alone = Value::Object(Map::from_iter([(key.clone(), value)]));
                let error = serde_json::from_value::<T>(alone).err()?.to_string();
                (!error.starts_with("missing field")).then_some((key, error))
            };
            match object.into_iter().find_map(fails) {
                Some((field, error)) => bail!("{place}: {field}: {}", error.replace("i64", "a whole number")),
                None => bail!("{place}: {error}"),
            }
        }
    }
}

/// The characters shown of an unknown name: twice the longest known name.
const LONGEST_SHOWN: usize = 32;

/// The names of a structure's fields, from the type itself.
fn field_names<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut names: &[&str] = &[];
    // Deserialization fails, after it has named the fields.
    let _ = T::deserialize(FieldNames(&mut names));
    names
}

/// A deserializer that notes the names of a structure's fields.
struct FieldNames<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for FieldNames<'_> {
    type Error = NoValue;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, NoValue> {
        *self.0 = fields;
        Err(NoValue::custom("there is no value"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, NoValue> {
        Err(NoValue::custom("it is no structure"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq tuple
        tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_those_of_the_type() {
        let event = Notification {
            step: Some("a".into()),
            pr_number: Some(1),
            urgent: true,
            ..Notification::default()
        };
        let Value::Object(object) = serde_json::to_value(event).unwrap() else {
            panic!("no object")
        };
        assert_eq!(object.len(), 3);
        let names = field_names::<Notification>();
        assert!(object.keys().all(|key| names.contains(&key.as_str())));
        assert!(names.contains(&"gitlab_username") && names.len() >= 17);
    }
}
