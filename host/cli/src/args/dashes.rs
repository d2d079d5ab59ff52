//! Values that begin with a dash, such as a step's name `--- build ---` or `-DskipTests`.

use std::ffi::{OsStr, OsString};

use clap::Command;

/// The line with each such value joined to its flag by `=`, as the library wants it; none if there is nothing to join. A word that is a flag
/// itself stays one: a value is missing in front of it.
pub(super) fn joined(command: &Command, line: &[OsString]) -> Option<Vec<OsString>> {
    let called = line.iter().filter_map(|word| word.to_str());
    let called = called.filter_map(|word| command.find_subcommand(word)).next()?;
    let arguments = || command.get_arguments().chain(called.get_arguments());
    let is_flag = |word: &str| match word.strip_prefix("--") {
        Some(long) => {
            let name = long.split_once('=').map_or(long, |(name, _)| name);
            name.is_empty()
                || name == "help"
                || name == "version"
                || arguments().any(|arg| arg.get_long() == Some(name))
        }
        None => word[1..]
            .chars()
            .all(|short| matches!(short, 'h' | 'V') || arguments().any(|arg| arg.get_short() == Some(short))),
    };
    let takes_value = |word: &str| {
        let name = word.strip_prefix("--");
        arguments().any(|arg| arg.get_long().is_some() && arg.get_long() == name && arg.get_action().takes_values())
    };
    let mut words = line.iter().peekable();
    let mut joined = Vec::new();
    while let Some(word) = words.next() {
        if word == "--" {
            joined.push(word.clone());
            break;
        }
        let is_value = |next: &&OsString| {
            let next = next.to_string_lossy();
            next.starts_with('-') && next.len() > 1 && !is_flag(&next)
        };
        match words.next_if(|next| word.to_str().is_some_and(takes_value) && is_value(next)) {
            Some(value) => joined.push([word.as_os_str(), OsStr::new("="), value].into_iter().collect()),
            None => joined.push(word.clone()),
        }
    }
    joined.extend(words.cloned());
    (joined.len() < line.len()).then_some(joined)
}
