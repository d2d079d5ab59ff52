//! The reading of rules out of JSON, with all faults at once.

use crate::Problem;
use crate::blank::is_blank;
use crate::field::{Field, MOST_ATTRIBUTES};
use crate::hash::{Key, SHORTEST_KEY};
use crate::pattern::{Kind, Pattern};
use crate::problem::{Problems, nearest, shown};
use crate::rule::{Action, Choice, Edit, Rule};
use crate::settings::{RULES, Settings, key_of};
use crate::template;
use serde_json::{Map, Value};

/// The most rules: ten times a long list. Each is read in every call.
const MOST_RULES: usize = 64;
/// Bytes of all rules together.
const MOST_BYTES: usize = 64 << 10;
/// Regular expressions of all rules together, each compiled in every call.
const MOST_REGEXES: usize = 64;

/// The verbs, and the keys that each takes beside it.
const VERBS: [(&str, &[&str]); 10] = [
    ("drop", &[]),
    ("keep", &[]),
    ("hash", &["key"]),
    ("map", &["file", "values", "else"]),
    ("rename", &["is", "glob", "regex", "to"]),
    ("set", &["to"]),
    ("default", &["to"]),
    ("require", &[]),
    ("discard", &["is", "glob", "regex"]),
    ("only", &["is", "glob", "regex"]),
];

/// Reads the rules.
///
/// # Errors
/// All faults.
pub fn rules(settings: &impl Settings) -> Result<Vec<Rule>, Vec<Problem>> {
    let mut problems = Problems::default();
    let list = list(settings).unwrap_or_else(|fault| {
        problems.add(RULES, fault);
        Vec::new()
    });
    let mut regexes = 0;
    let rules: Vec<Rule> = list
        .iter()
        .enumerate()
        .filter_map(|(at, rule)| {
            let number = at + 1;
            let key = format!("{RULES}[{number}]");
            let Value::Object(table) = rule else {
                problems.add(key, "a rule is a table such as { drop = \"email\" }");
                return None;
            };
            let mut reader = Reader {
                number,
                key,
                table,
                problems: &mut problems,
                regexes: &mut regexes,
            };
            let action = reader.action(settings)?;
            Some(Rule { number, action })
        })
        .collect();
    if regexes > MOST_REGEXES {
        problems.add(
            RULES,
            format!("there are {regexes} regexes; {MOST_REGEXES} are allowed"),
        );
    }
    let attributes = attributes_set(&rules);
    if attributes > MOST_ATTRIBUTES {
        problems.add(
            RULES,
            format!("they set {attributes} attributes; a run has at most {MOST_ATTRIBUTES}"),
        );
    }
    if problems.is_empty() {
        return Ok(rules);
    }
    Err(problems.into_list())
}

/// The list of rules.
fn list(settings: &impl Settings) -> Result<Vec<Value>, String> {
    let text = settings
        .get(RULES)
        .ok_or("there are no rules; write `rules = [{ drop = \"email\" }]`")?;
    if text.len() > MOST_BYTES {
        return Err(format!("they have {} bytes; {MOST_BYTES} are allowed", text.len()));
    }
    let Value::Array(list) = serde_json::from_str(&text).map_err(|error| format!("this is not JSON: {error}"))? else {
        return Err("this has to be a list of rules, such as [{ drop = \"email\" }]".to_owned());
    };
    match list.len() {
        0 => Err("there is no rule in it; write one such as { drop = \"email\" }".to_owned()),
        1..=MOST_RULES => Ok(list),
        count => Err(format!("there are {count} rules; {MOST_RULES} are allowed")),
    }
}

/// The number of attributes that rules set.
fn attributes_set(rules: &[Rule]) -> usize {
    let mut keys: Vec<&str> = Vec::new();
    for rule in rules {
        if let Action::Edit(
            Edit::Set {
                field: Field::Attribute(key),
                ..
            }
            | Edit::Default {
                field: Field::Attribute(key),
                ..
            },
        ) = &rule.action
            && !keys.contains(&key.as_str())
        {
            keys.push(key);
        }
    }
    keys.len()
}

/// The reader of one rule.
struct Reader<'p, 'r> {
    number: usize,
    /// The rule's name in problems.
    key: String,
    table: &'r Map<String, Value>,
    problems: &'p mut Problems,
    /// The number of regular expressions so far.
    regexes: &'p mut usize,
}

impl Reader<'_, '_> {
    /// Adds a fault of the whole rule.
    fn fault(&mut self, message: impl Into<String>) {
        self.problems.add(self.key.clone(), message);
    }

    /// Adds a fault of one of its keys.
    fn fault_of(&mut self, key: &str, message: impl Into<String>) {
        self.problems.add(format!("{}.{}", self.key, shown(key)), message);
    }

    /// Reads the rule; `None` if it has a fault.
    fn action(&mut self, settings: &impl Settings) -> Option<Action> {
        let (verb, options) = self.verb()?;
        let unknown: Vec<String> = self
            .table
            .keys()
            .filter(|key| *key != verb && !options.contains(&key.as_str()))
            .cloned()
            .collect();
        for key in &unknown {
            let hint = match nearest(key, options.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if options.is_empty() => format!("`{verb}` has no other key"),
                None => format!("`{verb}` has {}", options.join(", ")),
            };
            self.fault_of(key, format!("unknown key; {hint}"));
        }
        let fields = self.fields(verb);
        let action = match verb {
            "drop" => fields.map(Edit::Drop).map(Action::Edit),
            "keep" => fields.map(Edit::Keep).map(Action::Edit),
            "hash" => self.hash(fields, settings),
            "map" => self.map(fields),
            "rename" => self.rename(fields),
            "set" => self
                .set(fields)
                .map(|(field, to)| Action::Edit(Edit::Set { field, to })),
            "default" => self
                .set(fields)
                .map(|(field, to)| Action::Edit(Edit::Default { field, to })),
            "require" => fields.map(Choice::Require).map(Action::Choose),
            "discard" => self
                .matched(verb, fields)
                .map(|(field, patterns)| Action::Choose(Choice::Discard(field, patterns))),
            _ => self
                .matched(verb, fields)
                .map(|(field, patterns)| Action::Choose(Choice::Only(field, patterns))),
        };
        action.filter(|_| unknown.is_empty())
    }

    /// The verb, and the keys that it takes.
    fn verb(&mut self) -> Option<(&'static str, &'static [&'static str])> {
        let given: Vec<(&'static str, &'static [&'static str])> = VERBS
            .into_iter()
            .filter(|(verb, _)| self.table.contains_key(*verb))
            .collect();
        match given.as_slice() {
            [one] => return Some(*one),
            [] => {
                let verbs = || VERBS.iter().map(|(verb, _)| *verb);
                let slip = self
                    .table
                    .keys()
                    .find_map(|key| Some((key.clone(), nearest(key, verbs())?)));
                match slip {
                    Some((key, near)) => self.fault_of(&key, format!("unknown verb; did you mean `{near}`?")),
                    None => {
                        let verbs = verbs().collect::<Vec<_>>().join(", ");
                        self.fault(format!("a rule needs one of the verbs {verbs}"));
                    }
                }
            }
            [(one, _), (other, _), ..] => {
                self.fault(format!("it has the verbs `{one}` and `{other}`; write a rule for each"));
            }
        }
        None
    }

    /// The fields that follow the verb, if each is one that the verb can take.
    fn fields(&mut self, verb: &'static str) -> Option<Vec<Field>> {
        let names = self.texts(verb)?;
        let takes_one = matches!(verb, "set" | "default" | "discard" | "only");
        if takes_one && names.len() > 1 {
            self.fault_of(verb, format!("`{verb}` takes one field; write a rule for each"));
            return None;
        }
        let mut fields = Vec::new();
        let mut is_good = true;
        for name in &names {
            let field = Field::parse(name).and_then(|field| fits(verb, &field).map(|()| field));
            match field {
                Ok(field) => fields.push(field),
                Err(fault) => {
                    self.fault_of(verb, fault);
                    is_good = false;
                }
            }
        }
        let has = |field| fields.contains(&field);
        if verb == "keep" && (has(Field::CommitSha) || has(Field::PrNumber)) && !has(Field::Repository) {
            self.fault_of(verb, "a commit and a pull request need their `repository`; keep it too");
            is_good = false;
        }
        is_good.then_some(fields)
    }

    fn hash(&mut self, fields: Option<Vec<Field>>, settings: &impl Settings) -> Option<Action> {
        if !self.table.contains_key("key") {
            self.fault("`hash` needs `key`, the path of a file with the key, such as `openssl rand -hex 32` writes");
            return None;
        }
        self.text("key")?;
        let name = key_of(self.number);
        let key = match settings.get(&name) {
            Some(key) => Key::new(key.as_bytes()),
            None => {
                self.fault_of("key", format!("the setting `{name}` with the key's bytes is missing"));
                return None;
            }
        };
        let Some(key) = key else {
            self.fault_of(
                "key",
                format!("the key is too short; it has to have {SHORTEST_KEY} bytes or more"),
            );
            return None;
        };
        Some(Action::Edit(Edit::Hash { fields: fields?, key }))
    }

    fn map(&mut self, fields: Option<Vec<Field>>) -> Option<Action> {
        let (has_file, has_values) = (self.table.contains_key("file"), self.table.contains_key("values"));
        if has_file == has_values {
            self.fault("`map` needs `file`, the path of a file with rows `from,to`, or `values = { from = \"to\" }`");
            return None;
        }
        if has_file {
            self.text("file")?;
        } else if !matches!(self.table.get("values"), Some(Value::Object(values)) if values.is_empty()) {
            let settings = format!("values.{}.TEXT", self.number);
            self.fault_of(
                "values",
                format!("a host writes the values into the settings `{settings}`, and {{}} here"),
            );
            return None;
        }
        let drops_others = match self.optional_text("else")?.as_deref() {
            None | Some("keep") => false,
            Some("drop") => true,
            Some(_) => {
                self.fault_of("else", "this has to be \"drop\" or \"keep\"");
                return None;
            }
        };
        let fields = fields?;
        if let Some(field) = fields.iter().find(|field| drops_others && !field.is_optional()) {
            self.fault_of("else", format!("`{field}` cannot be dropped"));
            return None;
        }
        Some(Action::Edit(Edit::Map { fields, drops_others }))
    }

    fn rename(&mut self, fields: Option<Vec<Field>>) -> Option<Action> {
        let patterns = self.patterns("rename");
        let to = self.needed_text("to");
        let (patterns, to, fields) = (patterns?, to?, fields?);
        if let Some(fault) = fields.iter().find_map(|field| unsound(&to, field)) {
            self.fault_of("to", fault);
            return None;
        }
        let is_whole = |pattern: &Pattern| !matches!(pattern, Pattern::Regex(_));
        let required = fields.iter().find(|field| !field.is_optional());
        if let Some(field) = required.filter(|_| is_blank(&to) && patterns.iter().any(is_whole)) {
            self.fault_of("to", format!("`{field}` cannot be empty"));
            return None;
        }
        let mut both = Vec::new();
        for pattern in patterns {
            match template::parse(&to, &pattern) {
                Ok(template) => both.push((pattern, template)),
                Err(fault) => {
                    self.fault_of("to", fault);
                    return None;
                }
            }
        }
        Some(Action::Edit(Edit::Rename { fields, patterns: both }))
    }

    /// The field and the text of `set` and `default`.
    fn set(&mut self, fields: Option<Vec<Field>>) -> Option<(Field, String)> {
        let to = self.needed_text("to")?;
        let field = fields?.pop()?;
        let blank =
            || is_blank(&to).then(|| format!("it is empty; to remove the field, write {{ drop = \"{field}\" }}"));
        if let Some(fault) = blank().or_else(|| unsound(&to, &field)) {
            self.fault_of("to", fault);
            return None;
        }
        Some((field, to))
    }

    /// The field and the patterns of `discard` and `only`.
    fn matched(&mut self, verb: &'static str, fields: Option<Vec<Field>>) -> Option<(Field, Vec<Pattern>)> {
        let patterns = self.patterns(verb)?;
        Some((fields?.pop()?, patterns))
    }

    /// The patterns of a rule, of all kinds. A `rename` takes one kind, as each reads `to` in its own way.
    fn patterns(&mut self, verb: &str) -> Option<Vec<Pattern>> {
        let given: Vec<Kind> = Kind::ALL
            .into_iter()
            .filter(|kind| self.table.contains_key(kind.key()))
            .collect();
        if given.is_empty() {
            self.fault(format!(
                "`{verb}` needs `is`, `glob` or `regex`, which say what it matches"
            ));
            return None;
        }
        if verb == "rename" && given.len() > 1 {
            self.fault("`rename` takes one of `is`, `glob` and `regex`; write a rule for each");
            return None;
        }
        let mut patterns = Vec::new();
        for kind in given {
            for text in self.texts(kind.key())? {
                if kind == Kind::Regex {
                    *self.regexes += 1;
                    // More are counted, and not compiled.
                    if *self.regexes > MOST_REGEXES {
                        return None;
                    }
                }
                match kind.compile(&text) {
                    Ok(pattern) => patterns.push(pattern),
                    Err(fault) => {
                        self.fault_of(kind.key(), fault);
                        return None;
                    }
                }
            }
        }
        Some(patterns)
    }

    /// A text that the rule has to have. It may be empty.
    fn needed_text(&mut self, key: &str) -> Option<String> {
        if !self.table.contains_key(key) {
            self.fault(format!("it needs `{key}`"));
            return None;
        }
        self.text(key)
    }

    /// A text, if the key is there; the outer `None` if it is something else.
    fn optional_text(&mut self, key: &str) -> Option<Option<String>> {
        if !self.table.contains_key(key) {
            return Some(None);
        }
        self.text(key).map(Some)
    }

    fn text(&mut self, key: &str) -> Option<String> {
        match self.table.get(key) {
            Some(Value::String(text)) => Some(text.clone()),
            _ => {
                self.fault_of(key, "this has to be text in quotes");
                None
            }
        }
    }

    /// A text or a list of texts, at least one, none of them empty.
    fn texts(&mut self, key: &str) -> Option<Vec<String>> {
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let texts = match self.table.get(key) {
            Some(Value::Array(list)) => list.iter().map(text).collect::<Option<Vec<_>>>(),
            Some(one) => text(one).map(|text| vec![text]),
            None => None,
        };
        let texts = texts.filter(|texts| !texts.is_empty());
        if texts.is_none() {
            self.fault_of(
                key,
                "this has to be text in quotes, or a list of texts, none of them empty",
            );
        }
        texts
    }
}

/// Checks that a verb can take a field.
///
/// # Errors
/// The reason why it cannot, and what can be written instead.
fn fits(verb: &str, field: &Field) -> Result<(), String> {
    let is_step = field.is_of_step();
    match verb {
        "drop" if *field == Field::Step => Err(
            "a step is left out by { discard = \"step\", glob = \"*\" }; the field itself cannot be dropped".to_owned(),
        ),
        "drop" if !field.is_optional() => Err(format!("`{field}` is required of every run, and cannot be dropped")),
        "hash" | "map" | "rename" | "set" | "default" if *field == Field::ReferenceId => {
            Err("`reference_id` says which run it is, and is not a policy's to change".to_owned())
        }
        "hash" | "map" | "rename" | "set" | "default" if *field == Field::PrNumber => {
            Err(format!("`pr_number` is a number; `{verb}` changes texts"))
        }
        "set" | "default" if is_step => Err(format!(
            "`{field}` cannot be set: it makes a notification of a run one of a step; `rename` changes a step's name"
        )),
        "hash" | "map" | "rename" | "set" | "default" if !field.is_writable() => {
            Err(format!("`{verb}` takes one attribute: write `attributes.NAME`"))
        }
        "require" if is_step => Err(format!(
            "`{field}` is absent where a notification is about the whole run"
        )),
        "require" | "discard" | "only" if *field == Field::Attributes => {
            Err(format!("`{verb}` takes one attribute: write `attributes.NAME`"))
        }
        _ => Ok(()),
    }
}

/// The fault of a text that is to be a field's.
fn unsound(text: &str, field: &Field) -> Option<String> {
    if text.chars().any(char::is_control) {
        return Some("it has control characters".to_owned());
    }
    (text.len() > field.most()).then(|| format!("it has {} bytes; `{field}` has at most {}", text.len(), field.most()))
}
