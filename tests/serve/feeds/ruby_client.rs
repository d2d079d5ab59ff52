//! The elements and attributes that go-api-client, the Ruby client, reads without looking whether they are there: it fails on a document that
//! lacks one. Taken from the files `lib/go_api_client/parsers/*_parser.rb` of <https://github.com/kindredgroup/go-api-client>.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use serde_json::json;

use crate::feeds::site::{Site, run, with};

/// The scheme of the relations between documents.
const PIPELINE: &str = "http://www.thoughtworks-studios.com/ns/relations/go/pipeline";
const DOCUMENT: &str = "application/vnd.go+xml";

#[derive(Default)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Element>,
}

impl Element {
    fn parse(bytes: &[u8]) -> Self {
        let (mut reader, mut open) = (Reader::from_reader(bytes), vec![Self::default()]);
        loop {
            let closed = match reader.read_event().unwrap() {
                Event::Start(start) => {
                    open.push(Self::begin(&start));
                    continue;
                }
                Event::Empty(start) => Self::begin(&start),
                Event::End(_) => open.pop().unwrap(),
                Event::Text(text) => {
                    open.last_mut().unwrap().text += text.trim();
                    continue;
                }
                Event::CData(text) => {
                    open.last_mut().unwrap().text += &text;
                    continue;
                }
                Event::Eof => return open.remove(0).children.remove(0),
                _ => continue,
            };
            open.last_mut().unwrap().children.push(closed);
        }
    }

    fn begin(start: &BytesStart<'_>) -> Self {
        let attributes = start.attributes().map(|attribute| {
            let attribute = attribute.unwrap();
            (attribute.key.as_ref().to_owned(), attribute.value.into_owned())
        });
        Self {
            name: start.name().as_ref().to_owned(),
            attributes: attributes.collect(),
            ..Self::default()
        }
    }

    fn get(&self, attribute: &str) -> &str {
        let found = self.attributes.iter().find(|(name, _)| name == attribute);
        &found.unwrap_or_else(|| panic!("<{}> has no {attribute}", self.name)).1
    }

    fn all<'e>(&'e self, path: &str) -> Vec<&'e Self> {
        path.split('/').fold(vec![self], |found, name| {
            let children = found.into_iter().flat_map(|element| &element.children);
            children.filter(|child| child.name == name).collect()
        })
    }

    /// The first element there; it has to be one.
    fn first(&self, path: &str) -> &Self {
        let found = self.all(path);
        found.first().unwrap_or_else(|| panic!("<{}> has no {path}", self.name))
    }

    /// A time in it: Ruby's `Time.parse` raises on an empty text.
    fn time(&self, path: &str) {
        let text = &self.first(path).text;
        assert!(chrono::DateTime::parse_from_rfc3339(text).is_ok(), "{path}: {text:?}");
    }

    fn link(&self, relation: &str) -> Option<&str> {
        let link = |link: &&Self| link.get("rel") == relation;
        Some(self.all("link").into_iter().find(link)?.get("href"))
    }

    /// The link to a document, as an entry of a feed has it.
    fn document(&self, relation: &str) -> &str {
        let is_it =
            |link: &&&Self| link.get("rel") == relation && link.attributes.contains(&("type".into(), DOCUMENT.into()));
        self.all("link").iter().find(is_it).unwrap().get("href")
    }
}

/// A client that reads what it finds with all its parsers.
struct Client(Site);

impl Client {
    fn get(&mut self, href: &str) -> Element {
        let path = href.strip_prefix(&self.0.collector.url).unwrap_or(href).to_owned();
        Element::parse(&self.0.document(&path))
    }

    /// Reads a page and all that it leads to; gives the next one's address, and how many stages it has.
    fn feed(&mut self, href: &str) -> (Option<String>, usize) {
        let feed = self.get(href);
        for path in ["title", "id"] {
            feed.first(path);
        }
        feed.time("updated");
        assert!(feed.link("self").is_some());
        let entries = feed.all("entry");
        for entry in &entries {
            for path in ["title", "id"] {
                entry.first(path);
            }
            entry.time("updated");
            for author in entry.all("author") {
                author.first("name");
            }
            for category in entry.all("category") {
                assert!(!category.get("term").is_empty() && !category.get("label").is_empty());
            }
            self.pipeline(entry.document(PIPELINE));
            self.stage(entry.document("alternate"));
        }
        (feed.link("next").map(str::to_owned), entries.len())
    }

    fn pipeline(&mut self, href: &str) {
        let pipeline = self.get(href);
        for attribute in ["name", "label"] {
            pipeline.get(attribute);
        }
        assert!(pipeline.get("counter").parse::<u64>().is_ok());
        assert_eq!(pipeline.link("self"), Some(href));
        for path in ["id", "approvedBy"] {
            pipeline.first(path);
        }
        pipeline.time("scheduleTime");
        for stage in pipeline.all("stages/stage") {
            self.stage(stage.get("href"));
        }
        for material in pipeline.all("materials/material") {
            for attribute in ["materialUri", "type"] {
                assert!(!material.get(attribute).is_empty());
            }
            for change in material.all("modifications/changeset") {
                assert!(!change.get("changesetUri").is_empty());
                change.time("checkinTime");
                change.first("revision");
            }
        }
    }

    fn stage(&mut self, href: &str) {
        let stage = self.get(href);
        stage.get("name");
        assert!(stage.get("counter").parse::<u64>().is_ok());
        assert_eq!(stage.link("self"), Some(href));
        for path in ["id", "result", "state", "approvedBy"] {
            stage.first(path);
        }
        stage.time("updated");
        let pipeline = stage.first("pipeline");
        for attribute in ["name", "counter", "label", "href"] {
            assert!(!pipeline.get(attribute).is_empty());
        }
        for job in stage.all("jobs/job") {
            self.job(job.get("href"));
        }
    }

    fn job(&mut self, href: &str) {
        let job = self.get(href);
        assert!(!job.get("name").is_empty() && !job.first("artifacts").get("baseUri").is_empty());
        assert_eq!(job.link("self"), Some(href));
        for path in ["id", "state"] {
            job.first(path);
        }
        for property in job.all("properties/property") {
            if property.get("name").contains("timestamp") {
                assert!(
                    chrono::DateTime::parse_from_rfc3339(&property.text).is_ok(),
                    "{}",
                    property.text
                );
            }
        }
    }
}

#[test]
fn go_api_client_finds_all_that_it_reads() {
    let mut site = Site::new();
    let facts = json!({ "repository": "o/n", "commit_sha": "ab".repeat(20), "head_branch": "main", "pr_number": 7, "email": "a@example.com" });
    for (minute, more) in [
        json!({}),
        facts,
        json!({ "repository": "o/n" }),
        json!({ "github_username": "octocat" }),
        json!({ "status": "failure", "finished_at": null }),
        json!({ "status": "cancelled" }),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("r{minute}");
        site.report(&with(run("web", &id, u32::try_from(minute).unwrap(), "success"), more));
    }
    for minute in 6..30 {
        site.report(&run("web", &format!("r{minute}"), minute, "success"));
    }
    site.job("r1", "compile", "failure", [None, None]);
    site.report(&with(run("web", "on", 40, "running"), json!({ "finished_at": null })));
    let under_way = site.run("on")["id"].as_u64().unwrap();
    let mut client = Client(site);
    let (mut next, mut pages) = (Some("/go/api/pipelines/web/stages.xml".to_owned()), Vec::new());
    while let Some(href) = next.take() {
        let entries;
        (next, entries) = client.feed(&href);
        pages.push(entries);
    }
    assert_eq!(pages, [25, 5, 0]);
    // By its own address: no feed leads to it yet.
    let href = format!("{}/go/api/pipelines/web/{under_way}.xml", client.0.collector.url);
    client.pipeline(&href);
}
