//! `policy verify`: verifies the signature beside a component.

use std::process::ExitCode;

use anyhow::Context;
use pipefold_sandbox::{KeyPlace, Limits};
use serde_json::json;

use crate::args::{GlobalFlags, VerifyArgs};
use crate::commands::component::pinned;
use crate::commands::{print_json, print_lines};
use crate::terminal::excerpt;

/// `pipefold policy verify`
pub fn run(global: &GlobalFlags, args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let key: KeyPlace = args.key.parse().context("--key")?;
    let file = args.file.clone().signed_by(Some(key));
    let verified = file.verify(Limits::default().component_size)?;
    let verified = verified.context("no key was given")?;
    let (key, comment) = (verified.signed.key, &verified.signed.comment);
    if global.json {
        print_json(&json!({
            "file": file.path().display().to_string(),
            "sha256": verified.sha256,
            "key": key.to_string(),
            "comment": comment,
        }))?;
    } else {
        print_lines(&format!(
            "{}\nkey       {key}\ncomment   {}\n",
            pinned(file.path(), &verified.sha256),
            excerpt(comment)
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
