//! The flags that several commands have, and which of them each command obeys: the others are not in its help, and are refused.

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command};

use super::GlobalFlags;

const DX: &[&str] = &["dx_url", "token_file", "ca_file"];
const QUEUE: &[&str] = &["queue", "queue_credentials", "queue_token_file"];
const POLICIES: &[&str] = &["config", "policies", "policy_cache"];
const SAYING: &[&str] = &["verbose", "quiet"];

/// Flags that ask for nothing where there is nothing to configure and nothing to say: a script may give them to every command.
const HARMLESS: &[&str] = &["config", "verbose", "quiet"];

/// True if a command obeys a flag; the path is that of its names, without the program's.
fn obeys(path: &[&str], flag: &str) -> bool {
    let groups: &[&[&str]] = match path {
        ["exec" | "start" | "step" | "finish"] | [] => return true,
        // What the command starts itself has all that the command was given.
        ["component", "compile-worker"] => return true,
        ["flush" | "status"] => &[DX, QUEUE, POLICIES, SAYING, &["spool", "json", "strict"]],
        ["doctor"] => &[DX, QUEUE, POLICIES, SAYING, &["spool", "json", "strict", "local"]],
        ["gocd", ..] => &[DX, QUEUE, POLICIES, SAYING, &["spool", "json", "strict", "dry_run"]],
        ["hook"] => &[POLICIES, SAYING, &["json"]],
        ["component", "inspect" | "embed"] => &[SAYING, &["json"]],
        ["component", ..] => &[SAYING, &["json", "policy_cache"]],
        ["serve"] => &[QUEUE, POLICIES, SAYING, &["token_file", "ca_file", "json"]],
        ["token", ..] => &[SAYING, &["json"]],
        ["forward"] => &[DX, QUEUE, POLICIES, SAYING],
        ["forward", "rejected", ..] => &[QUEUE, SAYING, &["ca_file", "config", "json"]],
        ["queue", ..] => &[QUEUE, SAYING, &["ca_file", "config", "json", "strict"]],
        _ => &[],
    };
    groups.concat().contains(&flag)
}

/// The definition with the flags of each command that it obeys.
pub(super) fn shown(command: Command) -> Command {
    let flags: Vec<Arg> = GlobalFlags::augment_args(Command::new(""))
        .get_arguments()
        .cloned()
        .collect();
    hide(command, &mut Vec::new(), &flags)
}

/// A flag that a command has itself, the library does not hand down to it.
fn hide(command: Command, path: &mut Vec<String>, flags: &[Arg]) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    names.into_iter().fold(command, |command, name| {
        path.push(name.clone());
        let command = command.mut_subcommand(name, |sub| {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let hidden = flags.iter().filter(|flag| !obeys(&path, flag.get_id().as_str()));
            sub.args(hidden.map(|flag| flag.clone().hide(true)))
        });
        let command = command.mut_subcommand(path[path.len() - 1].clone(), |sub| hide(sub, path, flags));
        path.pop();
        command
    })
}

/// What is wrong with a line that gives a command flags that it does not obey: who gives one expects something of it.
pub(super) fn refusal(matches: &ArgMatches) -> Option<String> {
    let mut path = Vec::new();
    let mut deepest = matches;
    while let Some((name, sub)) = deepest.subcommand() {
        path.push(name);
        deepest = sub;
    }
    let flags = GlobalFlags::augment_args(Command::new(""));
    let is_given = |flag: &&Arg| deepest.value_source(flag.get_id().as_str()) == Some(ValueSource::CommandLine);
    let useless: Vec<String> = flags
        .get_arguments()
        .filter(is_given)
        .filter(|flag| !obeys(&path, flag.get_id().as_str()) && !HARMLESS.contains(&flag.get_id().as_str()))
        .filter_map(|flag| Some(format!("--{}", flag.get_long()?)))
        .collect();
    let verb = if useless.len() == 1 { "does" } else { "do" };
    (!useless.is_empty()).then(|| {
        format!(
            "{} {verb} nothing in `pipefold {}`: leave it out",
            useless.join(" and "),
            path.join(" ")
        )
    })
}
