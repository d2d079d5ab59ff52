//! `doctor`: what was detected, from where, what would be sent, and whether DX can be reached.

mod checks;
mod page;
mod report;

use std::process::ExitCode;

use super::context::{Context, fields, is_strict};
use super::trouble::{Trouble, code};
use super::{print_json, print_raw};
use crate::args::{DoctorArgs, GlobalFlags};
use crate::terminal::Paint;
use report::Report;

/// `pipefold doctor`
pub(crate) fn run(global: &GlobalFlags, args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let (report, mut troubles, strict) = match Context::load(global, fields(&args.fields)) {
        Ok(mut context) => {
            let troubles = std::mem::take(&mut context.troubles);
            (Report::of(&context, &troubles)?, troubles, context.settings.strict)
        }
        Err(trouble) => (Report::without_settings(&trouble), vec![trouble], is_strict(global)),
    };
    if report.to_fix > 0 {
        troubles.push(Trouble::other(String::new()));
    }
    if global.json {
        print_json(&report)?;
    } else {
        print_raw(page::page(&report, Paint::of_stdout()).as_bytes())?;
    }
    Ok(ExitCode::from(code(&troubles, strict)))
}
