//! Links and categories of feeds.

use std::borrow::Cow;

use crate::address::Href;

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

/// `rel` of a pipeline link, as dialects C and D write it. B has another host in it.
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
    /// Whether it leads to a page for people. Dialect B gives no type to what leads to a document.
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
    /// The scheme of dialects C and D.
    pub const SCHEME: &'static str = "http://www.thoughtworks-studios.com/ns/categories/go";
}
