//! The list of pipelines, and the feed of a pipeline's completed stages.

use std::borrow::Cow;

use super::{Name, StageLocator, StageResult, Timestamp};
use crate::Resource;
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

/// A page of a pipeline's feed: at most 25 stages that have ended, the last first. An empty page ends the feed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StageFeed {
    /// The pipeline's name; on the documentation's page the word `Stages`.
    pub title: Option<String>,
    /// The feed's address, the same on every page.
    pub id: Option<Href>,
    /// Who made the feed: `Go`.
    pub author: Option<String>,
    /// When the first entry was updated; on an empty page the time of the answer, so never a sign of news.
    pub updated: Option<Timestamp>,
    /// The feed's address, the same on every page.
    pub self_link: Option<Href>,
    /// The next, older page. In the new dialect it leaves out the rest of the last run on this page: ask with [`StageFeed::oldest_counter`]
    /// there.
    pub next: Option<Href>,
    /// The previous, newer page. No server of a dialect that is read gives one.
    pub previous: Option<Href>,
    /// The entries.
    pub entries: Vec<StageEntry>,
}

impl StageFeed {
    /// The cursor of the next page as its link has it. None if there is no such link, or one that leads elsewhere than to a feed.
    #[must_use]
    pub fn next_before(&self) -> Option<u64> {
        match self.next.as_ref()?.resource()? {
            Resource::StageFeed { before, .. } => before,
            _ => None,
        }
    }

    /// The pipeline's counter of the oldest run on the page, by counter.
    #[must_use]
    pub fn oldest_counter(&self) -> Option<u64> {
        self.entries
            .iter()
            .map(|entry| entry.stage.pipeline.counter.get())
            .min()
    }
}

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
    /// Who made the changes. In the new dialect on the first page only.
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

/// Someone who made a change that a stage ran with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Author {
    /// As the version control system has it; for git and Mercurial mostly `Name <address>`.
    pub name: String,
    /// The e-mail address, where the server knows one apart from the name.
    pub email: Option<String>,
}

/// What a link leads to, seen from what has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Relation {
    /// The document itself.
    SelfLink,
    /// The next, older page.
    Next,
    /// The previous, newer page.
    Previous,
    /// The same in another form.
    Alternate,
    /// The pipeline's run.
    Pipeline,
    /// Something in another system, such as a card.
    Related,
    /// Anything else.
    Other(String),
}

/// `rel` of a pipeline link, as servers write it. The documentation's page has another host in it.
const PIPELINE: &str = "http://www.thoughtworks-studios.com/ns/relations/go/pipeline";

/// `rel` of a link to another system.
const RELATED: &str = "http://www.thoughtworks-studios.com/ns/go#related";

impl Relation {
    /// Reads `rel`.
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

    /// `rel`.
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
    /// What it leads to.
    pub relation: Relation,
    /// Where that is.
    pub href: Href,
    /// Its form, such as `text/html`.
    pub media_type: Option<Cow<'static, str>>,
    /// A title for people.
    pub title: Option<String>,
}

impl Link {
    /// Whether it leads to a page for people. The documentation's page gives no type to what leads to a document.
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
