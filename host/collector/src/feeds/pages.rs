//! What leads elsewhere: a stage by its name, and the links for people.

use super::answer::elsewhere;
use super::refusal::Refusal;
use super::visit::Visit;
use crate::page::run_page;
use crate::store::RunKey;
use axum::response::Response;
use pipefold_gocd::documents::StageLocator;
use pipefold_gocd::{Resource, ServerUrl};

/// A stage by its name is the one by its id.
pub(super) async fn to_stage(visit: &Visit<'_>, stage: &StageLocator) -> Result<Response, Refusal> {
    let run = visit.run(visit.key_of_stage(stage)?).await?.summary;
    let path = Resource::StageById(run.stage_id).path();
    Ok(elsewhere(&format!("{}/go{path}", prefix(visit.server))))
}

/// What shows a run to people is the collector's own page.
pub(super) async fn to_run(visit: &Visit<'_>, key: RunKey) -> Result<Response, Refusal> {
    let run = visit.run(key).await?.summary;
    let page = run_page(&run.record.reference_id);
    Ok(elsewhere(&format!("{}{page}", prefix(visit.server))))
}

/// What stands before `/go` in the path of the server's address. The host is left out: clients stay on the one they called, and go on
/// sending it their password.
fn prefix(server: &ServerUrl) -> String {
    let server = server.to_string();
    let path = server
        .split_once("://")
        .and_then(|(_, rest)| Some(rest.split_once('/')?.1));
    match path.and_then(|path| path.strip_suffix("/go")) {
        Some(prefix) => format!("/{prefix}"),
        None => String::new(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_proxy_is_kept() {
        for (url, expected) in [
            ("http://127.0.0.1:1", ""),
            ("https://ci.example.com/go", ""),
            ("https://ci.example.com/a/b", "/a/b"),
            ("https://ci.example.com/going/go", "/going"),
        ] {
            assert_eq!(prefix(&ServerUrl::parse(url).unwrap()), expected, "{url}");
        }
    }
}
