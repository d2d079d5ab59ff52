//! The list of pipelines, a page of a feed, and refusals.

use super::markup::Markup;
use crate::Dialect;
use crate::address::Href;
use crate::documents::{Link, Pipelines, StageEntry, StageFeed};

/// Writes a page of a pipeline's feed.
#[must_use]
pub fn feed(feed: &StageFeed, dialect: Dialect) -> String {
    let mut markup = match dialect {
        Dialect::Old => Markup::bare(),
        Dialect::New => Markup::declared(dialect),
    };
    let namespaces = [
        ("xmlns", Some("http://www.w3.org/2005/Atom")),
        ("xmlns:go", Some("http://www.thoughtworks-studios.com/ns/go")),
    ];
    markup.open("feed", &namespaces);
    markup.cdata("title", &[], feed.title.as_deref());
    markup.text("id", feed.id.as_ref().map(Href::as_str));
    if feed.author.is_some() {
        markup.open("author", &[]);
        markup.text("name", feed.author.as_deref());
        markup.close();
    }
    markup.time("updated", feed.updated, dialect);
    self_link(&mut markup, feed.self_link.as_ref());
    relation(&mut markup, "previous", feed.previous.as_ref());
    relation(&mut markup, "next", feed.next.as_ref());
    for item in &feed.entries {
        entry(&mut markup, item, dialect);
    }
    markup.finish()
}

fn entry(markup: &mut Markup, entry: &StageEntry, dialect: Dialect) {
    markup.open("entry", &[]);
    markup.cdata("title", &[], entry.title.as_deref());
    markup.time("updated", entry.updated, dialect);
    markup.text("id", Some(entry.id.as_str()));
    person(markup, "go:author", entry.approver.as_deref());
    for author in &entry.authors {
        markup.open("author", &[]);
        markup.cdata("name", &[], Some(&author.name));
        markup.text("email", author.email.as_deref());
        markup.close();
    }
    // Servers leave this one in Atom's namespace.
    person(markup, "cancelledBy", entry.cancelled_by.as_deref());
    for item in &entry.links {
        link(markup, item, dialect);
    }
    for category in &entry.categories {
        let attributes = [
            ("scheme", category.scheme.as_deref()),
            ("term", Some(&*category.term)),
            ("label", category.label.as_deref()),
        ];
        markup.empty("category", &attributes);
    }
    markup.close();
}

fn person(markup: &mut Markup, element: &'static str, name: Option<&str>) {
    if name.is_some() {
        markup.open(element, &[]);
        markup.cdata("go:name", &[], name);
        markup.close();
    }
}

fn link(markup: &mut Markup, link: &Link, dialect: Dialect) {
    let title = ("title", link.title.as_deref());
    let href = ("href", Some(link.href.as_str()));
    let relation = ("rel", Some(link.relation.as_str()));
    let media_type = ("type", link.media_type.as_deref());
    match dialect {
        Dialect::Old => markup.empty("link", &[title, href, relation, media_type]),
        Dialect::New => markup.empty("link", &[relation, href, title, media_type]),
    }
}

/// Writes the list of pipelines.
#[must_use]
pub fn pipelines(list: &Pipelines, dialect: Dialect) -> String {
    let mut markup = match dialect {
        Dialect::Old => Markup::bare(),
        Dialect::New => Markup::declared(dialect),
    };
    markup.open("pipelines", &[]);
    self_link(&mut markup, list.self_link.as_ref());
    for pipeline in &list.pipelines {
        markup.empty("pipeline", &[("href", Some(pipeline.feed.as_str()))]);
    }
    markup.finish()
}

/// A document's link to itself.
pub fn self_link(markup: &mut Markup, href: Option<&Href>) {
    relation(markup, "self", href);
}

/// A link with nothing but a relation.
pub fn relation(markup: &mut Markup, relation: &str, href: Option<&Href>) {
    if let Some(href) = href {
        markup.empty("link", &[("rel", Some(relation)), ("href", Some(href.as_str()))]);
    }
}

/// Writes a refusal. `kind` is the name of its element: what the status says, such as `not-found` or `bad-request`.
#[must_use]
pub fn refusal(kind: &'static str, message: &str) -> String {
    let mut markup = Markup::bare();
    markup.open(kind, &[]);
    markup.text("message", Some(message));
    markup.finish()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn as_servers_word_it() {
        assert_eq!(
            refusal("not-found", "Pipeline with name 'a<b' was not found!"),
            "<not-found>\n  <message>Pipeline with name 'a&lt;b' was not found!</message>\n</not-found>\n"
        );
    }
}
