//! Where documents come from.

use super::error::FetchError;
use crate::address::Resource;
use crate::documents::PipelineLocator;

/// Whoever answers for a GoCD server: the client, or a test.
pub trait Source {
    /// The document's bytes, not empty. One request, redirects within the server and repetitions aside; bounded in size and time.
    ///
    /// # Errors
    ///
    /// [`FetchError`] if there is no document. What may pass was tried several times by then.
    fn get(&self, resource: &Resource) -> Result<Vec<u8>, FetchError>;

    /// What the server's JSON API says of a pipeline's run (GoCD API, "Get pipeline instance": `/go/api/pipelines/NAME/COUNTER`), for the
    /// revisions that dialect D's documents do not have. Bounded in the same way.
    ///
    /// # Errors
    ///
    /// [`FetchError`] if there is no answer in JSON.
    fn get_json(&self, run: &PipelineLocator) -> Result<Vec<u8>, FetchError>;
}
