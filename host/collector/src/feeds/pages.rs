//! What the links for people lead to.

use super::answer::elsewhere;
use super::refusal::Refusal;
use super::visit::Visit;
use crate::page::run_page;
use crate::store::RunKey;
use axum::response::Response;

/// What shows a run to people is the collector's own page.
pub(super) async fn to_run(visit: &Visit<'_>, path: &str, key: RunKey) -> Result<Response, Refusal> {
    let run = visit.run(key).await?.summary;
    let page = run_page(&run.record.reference_id);
    Ok(elsewhere(&relative(path, &page)))
}

/// An address of this server as seen from another (RFC 3986, section 4.2): right for who calls the listener and for who comes through a
/// proxy, which may serve it below a path. Host and scheme are left out: clients stay on the one they called, and go on sending it their
/// password.
fn relative(from: &str, to: &str) -> String {
    let depth = from.matches('/').count().saturating_sub(1);
    format!("{}{}", "../".repeat(depth), to.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_up_is_as_long_as_the_way_down() {
        for (from, to, expected) in [
            ("/go/pipelines/web/1/run/1", "/runs/a%2Fb", "../../../../../runs/a%2Fb"),
            ("/go/x", "/runs/a", "../runs/a"),
            ("/x", "/runs/a", "runs/a"),
        ] {
            assert_eq!(relative(from, to), expected);
        }
    }
}
