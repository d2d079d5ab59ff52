//! The API methods that the server has.

/// One of DX's API methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `pipelineRuns.upsert`
    Runs,
    /// `pipelineJobs.upsert`
    Jobs,
}

impl Endpoint {
    /// The method of a request's target; none if the server has none there. A prefix is accepted, for servers behind a gateway.
    pub(crate) fn of(target: &str) -> Option<Self> {
        let path = target.split('?').next().unwrap_or_default();
        [Self::Runs, Self::Jobs]
            .into_iter()
            .find(|endpoint| path.ends_with(endpoint.path()))
    }

    fn path(self) -> &'static str {
        match self {
            Self::Runs => "/api/pipelineRuns.upsert",
            Self::Jobs => "/api/pipelineJobs.upsert",
        }
    }

    /// The argument that names the run.
    pub(crate) fn run_argument(self) -> &'static str {
        match self {
            Self::Runs => "reference_id",
            Self::Jobs => "run_reference_id",
        }
    }
}
