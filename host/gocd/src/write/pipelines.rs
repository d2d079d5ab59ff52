//! `<pipelines>`.

use super::markup::Markup;
use crate::Dialect;
use crate::address::Href;
use crate::documents::Pipelines;

/// Writes the list of pipelines.
#[must_use]
pub fn pipelines(list: &Pipelines, dialect: Dialect) -> String {
    let mut markup = match dialect {
        Dialect::C => Markup::bare(),
        Dialect::D => Markup::declared(dialect),
    };
    markup.open("pipelines", &[]);
    self_link(&mut markup, list.self_link.as_ref());
    for pipeline in &list.pipelines {
        markup.empty("pipeline", &[("href", Some(pipeline.feed.as_str()))]);
    }
    markup.finish()
}

/// A document's link to itself.
pub(super) fn self_link(markup: &mut Markup, href: Option<&Href>) {
    relation(markup, "self", href);
}

/// A link with nothing but a relation.
pub(super) fn relation(markup: &mut Markup, relation: &str, href: Option<&Href>) {
    if let Some(href) = href {
        markup.empty("link", &[("rel", Some(relation)), ("href", Some(href.as_str()))]);
    }
}
