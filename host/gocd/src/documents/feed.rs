//! The list of pipelines, and the feed of a pipeline's completed stages.

use std::borrow::Cow;

use super::{Name, StageLocator, StageResult, Timestamp};
use crate::Resource;
use crate::address::Href;

/// The pipelines that the authenticated user may see, in the server's order, including those that never ran.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pipelines {
    /// The document's own address.
    pub self_link: Option<Href>,
    /// The pipelines.
    pub pipelines: Vec<ListedPipeline>,
    /// The number of further entries, whose addresses are not those of feeds.
    pub left_out: u64,
}

/// A pipeline in the list, which names it only by the address of its feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPipeline {
    /// The pipeline's name, as the feed's address has it.
    pub name: Name,
    /// The address of its feed.
    pub feed: Href,
}

/// A page of a pipeline's feed: at most 25 completed stages, the newest first. An empty page ends the feed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StageFeed {
    /// The pipeline's name; on the documentation's page the word `Stages`.
    pub title: Option<String>,
    /// The feed's address, the same on every page.
    pub id: Option<Href>,
    /// The author of the feed: `Go`.
    pub author: Option<String>,
    /// The time at which the first entry was updated. On an empty page it is the time of the answer, so it never shows that something is
    /// new.
    pub updated: Option<Timestamp>,
    /// The feed's address, the same on every page.
    pub self_link: Option<Href>,
    /// The next, older page. In the new dialect this link leaves out the rest of the last run on this page: use
    /// [`StageFeed::oldest_counter`] there.
    pub next: Option<Href>,
    /// The previous, newer page. No server of a supported dialect sends this link.
    pub previous: Option<Href>,
    /// The entries.
    pub entries: Vec<StageEntry>,
}

impl StageFeed {
    /// Returns the cursor in the next page's link. `None` if the link is missing or names no feed.
    #[must_use]
    pub fn next_before(&self) -> Option<u64> {
        match self.next.as_ref()?.resource()? {
            Resource::StageFeed { before, .. } => before,
            _ => None,
        }
    }

    /// Returns the lowest pipeline counter on the page.
    #[must_use]
    pub fn oldest_counter(&self) -> Option<u64> {
        self.entries
            .iter()
            .map(|entry| entry.stage.pipeline.counter.get())
            .min()
    }
}

/// A completed run of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageEntry {
    /// The stage's run, as the entry's id has it: names in the server's own spelling.
    pub stage: StageLocator,
    /// The entry's id: the address of the page that shows the stage's run.
    pub id: Href,
    /// A title for people.
    pub title: Option<String>,
    /// The time at which the stage's last job ended.
    pub updated: Option<Timestamp>,
    /// The person who approved a manual stage.
    pub approver: Option<String>,
    /// The authors of the changes. In the new dialect only on the first page.
    pub authors: Vec<Author>,
    /// The person who cancelled the stage (GoCD 19.1 and later).
    pub cancelled_by: Option<String>,
    /// Links to the stage's and the pipeline's run, and to other systems.
    pub links: Vec<Link>,
    /// The entry's categories, one of which is the result.
    pub categories: Vec<Category>,
}

impl StageEntry {
    /// Returns the stage's result, by its category. A different result in the title is ignored.
    #[must_use]
    pub fn result(&self) -> StageResult {
        self.categories
            .iter()
            .map(|category| StageResult::parse(&category.term))
            .find(|result| *result != StageResult::Unknown)
            .unwrap_or_default()
    }

    /// Returns the link to the stage's document.
    #[must_use]
    pub fn stage_link(&self) -> Option<&Href> {
        self.document(&Relation::Alternate)
    }

    /// Returns the link to the document of the pipeline's run.
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

/// The author of a change that a stage ran with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Author {
    /// The name as the version control system has it; for git and Mercurial mostly `Name <address>`.
    pub name: String,
    /// The e-mail address, if the server sends one apart from the name.
    pub email: Option<String>,
}

/// The relation of a link's target to the document that has the link.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Relation {
    /// The document itself.
    SelfLink,
    /// The next, older page.
    Next,
    /// The previous, newer page.
    Previous,
    /// The same content in another form.
    Alternate,
    /// The pipeline's run.
    Pipeline,
    /// An item in another system, such as a card.
    Related,
    /// Anything else.
    Other(String),
}

/// The `rel` of a pipeline link, as servers write it. The documentation's page has another host in it.
const PIPELINE: &str = "http://www.thoughtworks-studios.com/ns/relations/go/pipeline";

/// The `rel` of a link to another system.
const RELATED: &str = "http://www.thoughtworks-studios.com/ns/go#related";

impl Relation {
    /// Parses a `rel`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "self" => Self::SelfLink,
            "next" => Self::Next,
            "previous" => Self::Previous,
            "alternate" => Self::Alternate,
            RELATED => Self::Related,
            _ if text.ends_with("/ns/relations/go/pipeline") => Self::Pipeline,
            _ => Self::Other(text.to_owned()),
        }
    }

    /// Returns the `rel`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::SelfLink => "self",
            Self::Next => "next",
            Self::Previous => "previous",
            Self::Alternate => "alternate",
            Self::Pipeline => PIPELINE,
            Self::Related => RELATED,
            Self::Other(text) => text,
        }
    }
}

/// A link of a feed's entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The relation of the target.
    pub relation: Relation,
    /// The target's address.
    pub href: Href,
    /// The target's media type, such as `text/html`.
    pub media_type: Option<Cow<'static, str>>,
    /// A title for people.
    pub title: Option<String>,
}

impl Link {
    /// Returns true if the link leads to a page for people. The documentation's page gives no type to links that lead to documents.
    #[must_use]
    pub fn is_page(&self) -> bool {
        self.media_type
            .as_deref()
            .is_some_and(|media_type| media_type.eq_ignore_ascii_case("text/html"))
    }
}

/// A category of a feed's entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Category {
    /// The name for machines, such as `passed`.
    pub term: Cow<'static, str>,
    /// The name for people, such as `Passed`.
    pub label: Option<Cow<'static, str>>,
    /// The name of the scheme that the term belongs to.
    pub scheme: Option<Cow<'static, str>>,
}

impl Category {
    /// The scheme that servers write.
    pub const SCHEME: &'static str = "http://www.thoughtworks-studios.com/ns/categories/go";
}
