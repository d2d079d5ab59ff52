//! `doctor`: the detected settings with their sources, the request that would be sent, and checks of DX, token, spool and policies.
//!
//! The page has lines of 80 columns, the width of the smallest terminals, which a CI log shows without breaking.

mod policies;
mod report;

use std::process::ExitCode;

use clap::builder::styling::AnsiColor;
use pipefold::Monitoring;
use pipefold_sandbox::foreign::json;
use serde_json::Value;

use self::report::{Check, DoctorReport, FieldRow, TemplateRow};
use super::context::{Context, fields, is_strict};
use super::diagnostic::{Diagnostic, exit_code};
use super::{print_json, print_raw};
use crate::args::{DoctorArgs, GlobalFlags};
use crate::terminal::{Paint, excerpt, neutral, wrap};

/// `pipefold doctor`
pub fn run(global: &GlobalFlags, args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let (report, mut diagnostics, strict) = match Context::load(global, fields(&args.fields)) {
        Ok((context, diagnostics)) => {
            context.reporter.plugins().set_monitoring(Monitoring::Compile);
            let report = DoctorReport::of(&context, &diagnostics)?;
            (report, diagnostics, context.settings.strict)
        }
        Err(why) => (DoctorReport::without_settings(&why), vec![why], is_strict(global)),
    };
    if report.to_fix > 0 {
        diagnostics.push(Diagnostic::failure(String::new()));
    }
    if global.json {
        print_json(&report)?;
    } else {
        print_raw(page(&report, Paint::of_stdout()).as_bytes())?;
    }
    Ok(ExitCode::from(exit_code(&diagnostics, strict)))
}

const WIDTH: usize = 80;
/// The column of the values: behind the longest name of a field.
const VALUE: usize = 19;
/// The column of the sources: behind a value of the usual length, such as a short branch.
const FROM: usize = 49;
/// The column of the text of a check.
const TEXT: usize = 17;

/// The answer for people.
fn page(report: &DoctorReport, paint: Paint) -> String {
    let mut lines = Vec::new();
    if !report.fields.is_empty() {
        let system = report.system.unwrap_or("none recognised");
        lines.push(format!("CI system: {system}"));
        heading(&mut lines, "Run fields");
        let suffix = report.system.map(|system| format!(" of {system}")).unwrap_or_default();
        for row in &report.fields {
            field(&mut lines, row, &suffix, paint);
        }
    }
    if !report.attributes.is_empty() {
        heading(&mut lines, "Attributes (DX has no field for them)");
        for row in &report.attributes {
            valued(
                &mut lines,
                &format!("  {}", excerpt(&row.key)),
                &excerpt(&row.value),
                &neutral(&row.from),
            );
        }
    }
    if !report.templates.is_empty() {
        heading(&mut lines, "Templates");
        report.templates.iter().for_each(|row| template(&mut lines, row));
    }
    if let Some(request) = &report.request {
        heading(&mut lines, "The start of a run would send");
        body(&mut lines, request);
    }
    heading(&mut lines, "Checks");
    report.checks.iter().for_each(|row| check(&mut lines, row, paint));
    lines.push(String::new());
    lines.push(match report.to_fix {
        0 => paint.text(AnsiColor::Green, "all is well"),
        1 => paint.text(AnsiColor::Red, "1 thing to fix"),
        several => paint.text(AnsiColor::Red, &format!("{several} things to fix")),
    });
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
    lines.join("\n") + "\n"
}

fn heading(lines: &mut Vec<String>, text: &str) {
    if !lines.is_empty() {
        lines.push(String::new());
    }
    lines.push(text.to_owned());
}

/// Adds text from a column on, its first line behind `first`.
fn block(lines: &mut Vec<String>, first: &str, column: usize, text: &str) {
    for (index, line) in wrap(text, WIDTH - column).into_iter().enumerate() {
        let before = if index == 0 { first } else { "" };
        lines.push(format!("{before:<column$}{line}"));
    }
}

fn field(lines: &mut Vec<String>, row: &FieldRow, suffix: &str, paint: Paint) {
    let name = format!("  {}", row.name);
    match (&row.value, &row.from) {
        (Some(value), Some(from)) => {
            // The system is shown above, once.
            let from = from.strip_suffix(suffix).unwrap_or(from);
            valued(lines, &name, &excerpt(value), &neutral(from));
        }
        (Some(value), None) => block(lines, &name, VALUE, &excerpt(value)),
        (None, _) if row.required => {
            lines.push(format!("{name:<VALUE$}{}", paint.text(AnsiColor::Red, "missing")));
        }
        (None, _) => lines.push(format!("{name:<VALUE$}{}", row.otherwise)),
    }
}

/// Adds a value and its source: on one line if both fit, the source in its column if the value leaves that free; else one below the other.
fn valued(lines: &mut Vec<String>, name: &str, value: &str, from: &str) {
    let column = (value.chars().count() + 2).max(FROM - VALUE);
    if name.chars().count() + 2 > VALUE {
        // An attribute's key may be longer than any field's name.
        lines.push(name.to_owned());
        return valued(lines, "", value, from);
    }
    if VALUE + column + from.chars().count() <= WIDTH {
        lines.push(format!("{name:<VALUE$}{value:<column$}{from}"));
    } else {
        block(lines, name, VALUE, value);
        block(lines, "", VALUE, &format!("from {from}"));
    }
}

fn template(lines: &mut Vec<String>, row: &TemplateRow) {
    valued(
        lines,
        &format!("  {}", row.field),
        &excerpt(&row.template),
        &neutral(&row.from),
    );
    let outcome = match &row.why {
        None => "used".to_owned(),
        Some(why) => format!("not used: {}", neutral(why)),
    };
    block(lines, "", VALUE, &outcome);
}

/// Adds the request, made safe to show.
fn body(lines: &mut Vec<String>, request: &Value) {
    let text = |key: &str| request.get(key).and_then(Value::as_str).unwrap_or_default();
    lines.push(format!("  {} {}", text("method"), neutral(text("url"))));
    let body = request.get("body").unwrap_or(&Value::Null);
    for line in json(&format!("{body:#}")).lines() {
        lines.push(format!("  {line}"));
    }
}

fn check(lines: &mut Vec<String>, check: &Check, paint: Paint) {
    let mark = match check.fix {
        None => paint.text(AnsiColor::Green, "ok "),
        Some(_) => paint.text(AnsiColor::Red, "bad"),
    };
    let from = match &check.from {
        Some(from) => format!(" ({})", neutral(from)),
        None => String::new(),
    };
    let start = lines.len();
    block(lines, "", TEXT, &(excerpt(&check.found) + &from));
    // The mark may hold invisible characters of colour, which padding would count.
    if let Some(first) = lines.get_mut(start) {
        let words = first.split_off(TEXT);
        let what = format!("{:<1$}", check.what, TEXT - 7);
        *first = format!("  {mark}  {what}{words}");
    }
    if let Some(fix) = &check.fix {
        block(lines, &format!("{:TEXT$}fix: ", ""), TEXT + 5, &neutral(fix));
    }
}
