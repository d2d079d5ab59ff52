//! The list of pipelines.

use super::Name;
use crate::address::Href;

/// The pipelines that the user who asked may see, in the server's order. Those that never ran are among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pipelines {
    /// The document's own address.
    pub self_link: Option<Href>,
    /// The pipelines.
    pub pipelines: Vec<ListedPipeline>,
    /// How many more there are, whose addresses are no feeds'.
    pub left_out: u64,
}

/// A pipeline in the list, which names it only by the address of its feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPipeline {
    /// Its name, as that address has it.
    pub name: Name,
    /// The address of its feed.
    pub feed: Href,
}
