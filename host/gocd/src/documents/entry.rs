//! Entries of the feed.

use super::{Author, Category, Link, Relation, StageLocator, StageResult, Timestamp};
use crate::address::Href;

/// A stage's run that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageEntry {
    /// Which run, as the entry's id has it: names in the server's own spelling.
    pub stage: StageLocator,
    /// The entry's id: the address of the page that shows the stage's run.
    pub id: Href,
    /// A title for people.
    pub title: Option<String>,
    /// When the stage's last job ended.
    pub updated: Option<Timestamp>,
    /// The person who let a manual stage run.
    pub approver: Option<String>,
    /// Who made the changes. In dialect D on the first page only.
    pub authors: Vec<Author>,
    /// The person who stopped it (GoCD 19.1 and later).
    pub cancelled_by: Option<String>,
    /// Links to the stage's and the pipeline's run, and to other systems.
    pub links: Vec<Link>,
    /// What it is, and how it went.
    pub categories: Vec<Category>,
}

impl StageEntry {
    /// How the stage went, by its category. The title may say something else, and is not looked at.
    #[must_use]
    pub fn result(&self) -> StageResult {
        self.categories
            .iter()
            .map(|category| StageResult::parse(&category.term))
            .find(|result| *result != StageResult::Unknown)
            .unwrap_or_default()
    }

    /// The link to the stage's document.
    #[must_use]
    pub fn stage_link(&self) -> Option<&Href> {
        self.document(&Relation::Alternate)
    }

    /// The link to the document of the pipeline's run.
    #[must_use]
    pub fn pipeline_link(&self) -> Option<&Href> {
        self.document(&Relation::Pipeline)
    }

    fn document(&self, relation: &Relation) -> Option<&Href> {
        let link = self
            .links
            .iter()
            .find(|link| link.relation == *relation && !link.is_page())?;
        Some(&link.href)
    }
}
