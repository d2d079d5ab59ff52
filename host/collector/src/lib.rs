//! A DX-compatible server that stores, shows and forwards pipeline runs.
//!
//! - [`server`]: the whole server, [`server::Collector`], its connections, limits and TLS.
//! - [`upsert`]: `POST /api/pipelineRuns.upsert` and `POST /api/pipelineJobs.upsert`, as DX has them.
//! - [`hooks`]: `POST /hooks/NAME`, the webhooks of CI systems.
//! - [`api`]: runs as JSON for programs, with an OpenAPI document.
//! - [`page`]: runs for people, in a browser.
//! - [`feeds`]: runs in the form of a GoCD server, for programs that know GoCD.
//! - [`forward`]: the forwarding of every run and its jobs to DX.
//! - [`store`]: notifications as they arrived, the runs that they fold into, and their jobs.
//! - [`access`]: tokens, and the pipelines that each may write and see.
//! - [`rules`]: the judging and folding of notifications.
//! - [`policies`]: the policies for readers, with their counters.
//! - [`request`]: the parts that every handler of a request needs.
//! - [`metrics`]: the counters.

pub mod access;
pub mod api;
pub mod feeds;
pub mod forward;
pub mod hooks;
pub mod metrics;
pub mod page;
pub mod policies;
pub mod request;
pub mod rules;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod seed;
pub mod server;
pub mod store;
pub mod upsert;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::path::Path;

    /// Every source file but tests and those of the server.
    fn below_the_server(dir: &Path, found: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !["server", "tests"].contains(&name.as_str()) {
                below_the_server(&path, found);
            } else if name.ends_with(".rs") && !["lib.rs", "tests.rs"].contains(&name.as_str()) {
                found.push((path.display().to_string(), std::fs::read_to_string(path).unwrap()));
            }
        }
    }

    #[test]
    fn the_server_is_on_top_of_its_features() {
        let mut found = Vec::new();
        below_the_server(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        assert!(found.len() > 40, "{}", found.len());
        for (path, text) in found {
            assert!(!text.contains(concat!("crate::", "server")), "{path}");
        }
    }
}
