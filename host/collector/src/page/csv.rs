//! A list of runs as CSV (RFC 4180), for spreadsheets.

use super::layout::PageError;
use super::link::RunsAddress;
use super::parts::{ShownStatus, person};
use super::runs::wanted;
use super::state::{PageState, Viewer};
use super::words;
use crate::store::{MAX_PAGE, RunQuery, RunSummary};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::IntoResponse;

/// The path.
pub const PATH: &str = "/runs.csv";

/// The most runs of a file: some 3 MiB. Narrower filters have the rest.
pub const MOST: usize = 10_000;

/// The names of the columns.
const COLUMNS: [&str; 14] = [
    "pipeline",
    "number",
    "status",
    "branch",
    "commit",
    "repository",
    "pull_request",
    "person",
    "source",
    "started",
    "finished",
    "seconds",
    "reference_id",
    "url",
];

/// Answers with the newest runs of a list.
pub async fn runs(
    State(state): State<PageState>,
    Viewer(access): Viewer,
    address: Result<Query<RunsAddress>, QueryRejection>,
) -> Result<impl IntoResponse, PageError> {
    let wanted = wanted(address, &state)?;
    let mut query = RunQuery {
        filter: wanted.filter,
        access,
        after: wanted.after,
        limit: MAX_PAGE,
    };
    let mut text = String::new();
    line(&mut text, &COLUMNS);
    let mut count = 0;
    while count < MOST {
        let page = state.store.runs(query.clone()).await?;
        count += page.runs.len();
        for run in &page.runs {
            let shown = ShownStatus::of(run, state.clock.now(), state.stale_after);
            line(&mut text, &fields(run, shown));
        }
        let Some(next) = page.next else { break };
        query.after = Some(next);
    }
    let headers = [
        (CONTENT_TYPE, "text/csv; charset=utf-8"),
        (CONTENT_DISPOSITION, "attachment; filename=\"runs.csv\""),
    ];
    Ok((headers, text))
}

fn fields(run: &RunSummary, shown: ShownStatus) -> [String; 14] {
    let record = &run.record;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let took = run
        .finished
        .map(|finished| words::between(run.started, finished).as_secs().to_string());
    [
        run.pipeline.clone(),
        run.counter.to_string(),
        shown.name().to_owned(),
        text(&record.head_branch),
        text(&record.commit_sha),
        text(&record.repository),
        record.pr_number.map(|number| number.to_string()).unwrap_or_default(),
        person(record).unwrap_or_default().to_owned(),
        record.pipeline_source.clone(),
        words::machine(run.started),
        run.finished.map(words::machine).unwrap_or_default(),
        took.unwrap_or_default(),
        record.reference_id.clone(),
        text(&record.source_url),
    ]
}

fn line(text: &mut String, fields: &[impl AsRef<str>]) {
    for (place, field) in fields.iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        text.push_str(&quoted(field.as_ref()));
    }
    text.push_str("\r\n");
}

/// Returns a field. One that a spreadsheet would take for a formula begins with an apostrophe: values are reported by anyone.
fn quoted(field: &str) -> String {
    let is_formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let field = if is_formula {
        format!("'{field}")
    } else {
        field.to_owned()
    };
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::quoted;

    #[test]
    fn a_field_stays_one_and_is_no_formula() {
        for (field, written) in [
            ("a b", "a b"),
            ("a,b", "\"a,b\""),
            ("a\"b\n", "\"a\"\"b\n\""),
            ("=1+1", "'=1+1"),
            ("@x,y", "\"'@x,y\""),
            ("-5", "'-5"),
            ("", ""),
        ] {
            assert_eq!(quoted(field), written);
        }
    }
}
