//! `token`: the access tokens of a collector.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use chrono::Utc;
use pipefold::config::Environment;
use pipefold_collector::access::{Access, Glob, Rights, TokenEntry, TokenFile, TokenName};
use serde_json::{Value, json};

use super::diagnostic::remark;
use super::serve::data_dir;
use super::{print_json, print_lines};
use crate::args::{GlobalFlags, TokenArgs, TokenCommand};
use crate::terminal::neutral;

/// `pipefold token`
pub fn run(global: &GlobalFlags, args: &TokenArgs) -> anyhow::Result<ExitCode> {
    let environment = Environment::from_process();
    match &args.command {
        TokenCommand::Add {
            name,
            pipelines,
            write,
            read,
            data_dir: dir,
        } => {
            let dir = data_dir(dir, &environment)?;
            let name = name_of(name)?;
            let access = Access::new(rights(*write, *read), globs(pipelines)?);
            add(global, &dir, name, access)?;
        }
        TokenCommand::List { data_dir: dir } => {
            let dir = made(data_dir(dir, &environment)?)?;
            let tokens = TokenFile::of(&dir).list()?;
            if tokens.is_empty() {
                remark(global, &format!("there is no token in {}", dir.display()));
            }
            list(global.json, &tokens)?;
        }
        TokenCommand::Revoke { name, data_dir: dir } => {
            let name = name_of(name)?;
            let file = TokenFile::of(&made(data_dir(dir, &environment)?)?);
            file.revoke(&name)?;
            remark(global, &format!("{name} is revoked"));
            if file.list()?.is_empty() {
                let closed = "it was the last token: a collector that runs stays closed until its next start";
                remark(global, closed);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn add(global: &GlobalFlags, dir: &Path, name: TokenName, access: Access) -> anyhow::Result<()> {
    // Tokens may be created before the first start of the server.
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.with_context(|| format!("cannot make {}", dir.display()))?;
    let file = TokenFile::of(dir);
    let is_first = file.list()?.is_empty();
    let message = format!("{name} may {}; its token is not shown again", rights_text(&access));
    let secret = file.add(name.clone(), access, Utc::now())?;
    if global.json {
        print_json(&json!({ "name": name.as_str(), "token": secret.reveal() }))?;
    } else {
        print_lines(&format!("{}\n", secret.reveal()))?;
    }
    remark(global, &message);
    if is_first {
        let closed = format!(
            "it is the first token of the collector in {}, which now refuses requests without one",
            dir.display()
        );
        remark(global, &closed);
    }
    Ok(())
}

/// Returns a directory that exists: a token of another one is unknown to the collector.
fn made(dir: PathBuf) -> anyhow::Result<PathBuf> {
    if dir.is_dir() {
        return Ok(dir);
    }
    Err(anyhow!(
        "there is no collector in {}: name its directory by --data-dir, or start it first",
        dir.display()
    ))
}

fn name_of(text: &str) -> anyhow::Result<TokenName> {
    text.parse().map_err(|why: &str| anyhow!("{why}"))
}

fn rights(write: bool, read: bool) -> Rights {
    match (write, read) {
        (true, false) => Rights::Write,
        (false, true) => Rights::Read,
        _ => Rights::ReadWrite,
    }
}

fn globs(patterns: &[String]) -> anyhow::Result<Vec<Glob>> {
    let all = ["*".to_owned()];
    let patterns = if patterns.is_empty() { &all[..] } else { patterns };
    if patterns.len() > pipefold_collector::access::MAX_GLOBS {
        anyhow::bail!("a token has {} patterns at most", pipefold_collector::access::MAX_GLOBS);
    }
    let parse = |pattern: &String| {
        pattern
            .parse()
            .map_err(|why| anyhow!("--pipelines {}: {why}", neutral(pattern)))
    };
    patterns.iter().map(parse).collect()
}

fn rights_text(access: &Access) -> String {
    let what = match access.rights() {
        Rights::Write => "report",
        Rights::Read => "read",
        Rights::ReadWrite => "report and read",
    };
    let globs: Vec<&str> = access.pipelines().iter().map(Glob::as_str).collect();
    if globs.contains(&"*") {
        format!("{what} runs of every pipeline")
    } else {
        neutral(&format!("{what} runs of {}", globs.join(", ")))
    }
}

fn list(json: bool, tokens: &[TokenEntry]) -> anyhow::Result<()> {
    if json {
        let tokens: Vec<Value> = tokens
            .iter()
            .map(|token| {
                let globs: Vec<&str> = token.access.pipelines().iter().map(Glob::as_str).collect();
                json!({
                    "name": token.name.as_str(),
                    "rights": token.access.rights().as_str(),
                    "pipelines": globs,
                    "created": token.created,
                })
            })
            .collect();
        return print_json(&json!({ "tokens": tokens }));
    }
    let width = tokens
        .iter()
        .map(|token| token.name.as_str().len())
        .max()
        .unwrap_or_default();
    let line = |token: &TokenEntry| {
        let made = token.created.format("%Y-%m-%d");
        format!("{:width$}  {made}  may {}\n", token.name, rights_text(&token.access))
    };
    print_lines(&tokens.iter().map(line).collect::<String>())
}
