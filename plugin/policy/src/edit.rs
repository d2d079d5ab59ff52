//! The changes that rules make to notifications.

use crate::Notification;
use crate::blank::is_blank;
use crate::field::{Field, OPTIONAL};
use crate::rule::Edit;
use crate::settings::{Settings, target_of};

/// A field that a run or a step cannot lack, and of which a rule leaves nothing.
#[derive(Debug)]
pub struct Emptied<'r>(pub &'r Field);

impl Edit {
    /// Changes the notifications of one run. Each gets whether something of it was lost that it cannot lack.
    pub fn apply<'r>(
        &'r self,
        number: usize,
        settings: &impl Settings,
        events: &mut [Notification],
        mut emptied: impl FnMut(usize, Emptied<'r>),
    ) {
        if let Self::Default { field, .. } = self
            && events.iter().any(|event| field.is_given(event))
        {
            return;
        }
        let mut last = Last::default();
        for (at, event) in events.iter_mut().enumerate() {
            match self {
                Self::Drop(fields) => fields.iter().for_each(|field| field.remove(event)),
                Self::Keep(fields) => keep(fields, event),
                Self::Set { field, to } | Self::Default { field, to } => field.set(event, to),
                Self::Hash { fields, .. } | Self::Map { fields, .. } | Self::Rename { fields, .. } => {
                    for field in fields {
                        let given = field.is_given(event);
                        let rewrite =
                            |value: &str| last.or(value, field, || self.rewrite(value, number, field, settings));
                        field.replace(event, rewrite);
                        if given && !field.is_optional() && !field.is_given(event) {
                            emptied(at, Emptied(field));
                        }
                    }
                }
            }
        }
    }

    /// What it makes of a value.
    fn rewrite(&self, value: &str, number: usize, field: &Field, settings: &impl Settings) -> Option<String> {
        match self {
            Self::Hash { key, .. } => Some(key.hash(value)),
            Self::Map { drops_others, .. } => {
                let text = value.trim();
                let target = settings
                    .get(&target_of(number, text))
                    .or_else(|| settings.get(&target_of(number, &text.to_lowercase())));
                match target {
                    Some(target) => settle(target, field),
                    None => (!drops_others).then(|| value.to_owned()),
                }
            }
            Self::Rename { patterns, .. } => {
                let new = patterns
                    .iter()
                    .find_map(|(pattern, template)| pattern.rewrite(value, template, field.most()));
                match new {
                    Some(new) => settle(new, field),
                    None => Some(value.to_owned()),
                }
            }
            Self::Drop(_) | Self::Keep(_) | Self::Set { .. } | Self::Default { .. } => Some(value.to_owned()),
        }
    }
}

/// The last value that a rule rewrote, and its result: most fields are the same in all notifications of a run.
#[derive(Default)]
struct Last(Option<(String, usize, Option<String>)>);

impl Last {
    fn or(&mut self, value: &str, field: &Field, rewrite: impl FnOnce() -> Option<String>) -> Option<String> {
        match &self.0 {
            Some((last, most, result)) if last == value && *most == field.most() => result.clone(),
            _ => {
                let result = rewrite();
                self.0 = Some((value.to_owned(), field.most(), result.clone()));
                result
            }
        }
    }
}

/// A new text in the form that the default component accepts: without control characters, cut to the longest size; `None` if it is blank.
fn settle(mut text: String, field: &Field) -> Option<String> {
    text.retain(|character| !character.is_control());
    text.truncate(text.floor_char_boundary(field.most()));
    (!is_blank(&text)).then_some(text)
}

/// Drops all optional fields and attributes, except these.
fn keep(fields: &[Field], event: &mut Notification) {
    for field in OPTIONAL.iter().filter(|field| !fields.contains(field)) {
        field.remove(event);
    }
    if !fields.contains(&Field::Attributes) {
        let is_kept = |key: &str| {
            let is_it = |field: &Field| matches!(field, Field::Attribute(kept) if kept == key);
            fields.iter().any(is_it)
        };
        event.attributes.retain(|attribute| is_kept(&attribute.key));
    }
}
