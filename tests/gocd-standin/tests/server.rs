//! The server answers as real ones do, and misbehaves on demand.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{Read, Write};
use std::net::TcpStream;

use gocd_standin::{Access, Fault, Generation, GocdStandin, History, Server, Shape, Times};
use pipefold_gocd::documents::StageFeed;
use pipefold_gocd::{Href, ServerUrl, read};

/// A pipeline with one run that does not fit a page, and one that ends after a later one has begun to end.
fn long() -> History {
    let shape = Shape {
        long_runs: 100,
        runs: 12..=12,
        ..Shape::default()
    };
    let fits = |history: &History| {
        history.pipelines[0]
            .runs
            .iter()
            .all(|run| run.known(history.events()).len() <= 25)
    };
    // The counters of the runs in the order in which their stages ended.
    let overlaps = |history: &History| {
        let runs = history.pipelines[0].runs.iter();
        let mut ends: Vec<_> = runs
            .flat_map(|run| run.stages.iter().map(move |stage| (stage, run.counter)))
            .filter_map(|(stage, counter)| Some((stage.completed(history.events())?.event, counter)))
            .collect();
        ends.sort();
        !ends.is_sorted_by_key(|(_, counter)| *counter)
    };
    (0..)
        .map(|seed| History::generate(seed, &shape))
        .find(|history| !fits(history) && overlaps(history))
        .unwrap()
}

fn ok(server: &Server, target: &str) -> Vec<u8> {
    let answer = server.answer(target, &[]);
    assert_eq!(answer.status, 200, "{target}");
    answer.body
}

/// The pages of the only pipeline's feed, by the links to the next; the last is the empty one.
fn pages(server: &Server, api: &str) -> Vec<StageFeed> {
    let name = &server.history().pipelines[0].name;
    let mut target = format!("/go/api/{api}/{name}/stages.xml");
    let mut pages = Vec::new();
    loop {
        let page = read::feed(&ok(server, &target)).unwrap();
        let next = page.next.clone();
        assert_eq!(next.is_some(), !page.entries.is_empty());
        pages.push(page);
        match next {
            Some(next) => target = format!("/go{}", next.resource().unwrap().path()),
            None => return pages,
        }
    }
}

#[test]
fn old_feeds_come_in_the_order_of_completion_and_lose_nothing() {
    let history = long();
    let server = Server::new(history.clone(), Generation::Old);
    let pages = pages(&server, "pipelines");
    let entries: Vec<_> = pages.iter().flat_map(|page| &page.entries).collect();
    let completed = history.pipelines[0].runs.iter().flat_map(|run| &run.stages);
    let completed = completed.filter(|stage| stage.completed(history.events()).is_some());
    assert_eq!(entries.len(), completed.count());
    assert!(entries.is_sorted_by_key(|entry| std::cmp::Reverse(entry.updated)));
    let counters = entries.iter().map(|entry| entry.stage.pipeline.counter);
    assert!(!counters.rev().is_sorted(), "no run overlaps another");
    assert!(pages.iter().all(|page| page.entries.len() <= 25));
    assert!(entries.iter().any(|entry| !entry.authors.is_empty()));
}

#[test]
fn new_feeds_lose_what_a_page_has_no_room_for() {
    let history = long();
    let server = Server::new(history.clone(), Generation::New);
    let pages = pages(&server, "feed/pipelines");
    let entries: Vec<_> = pages.iter().flat_map(|page| &page.entries).collect();
    let completed = history.pipelines[0].runs.iter().flat_map(|run| &run.stages);
    let completed = completed.filter(|stage| stage.completed(history.events()).is_some());
    assert!(entries.len() < completed.count());
    assert!(entries.is_sorted_by_key(|entry| std::cmp::Reverse(entry.stage.pipeline.counter)));
    assert!(
        pages[1..]
            .iter()
            .flat_map(|page| &page.entries)
            .all(|entry| entry.authors.is_empty())
    );
    assert!(
        entries
            .iter()
            .all(|entry| entry.updated.unwrap().offset().local_minus_utc() == 0)
    );
}

#[test]
fn answers_of_real_servers() {
    let history = History::generate(5, &Shape::default());
    let pipeline = &history.pipelines[0];
    let (name, stage) = (&pipeline.name, &pipeline.runs[0].stages[0]);
    let old = Server::new(history.clone(), Generation::Old);
    let both = Server::new(history.clone(), Generation::Both);
    let new = Server::new(history.clone(), Generation::New);
    let by_name = format!("/go/pipelines/{name}/1/{}/1.xml", stage.name);
    let xml = [("accept".to_owned(), "application/xml".to_owned())];
    for (server, target, status) in [
        (&old, "/go/api/feed/pipelines.xml".to_owned(), 404),
        (&both, "/go/api/feed/pipelines.xml".to_owned(), 200),
        (&both, "/go/api/pipelines.xml".to_owned(), 200),
        (&new, "/go/api/pipelines.xml".to_owned(), 404),
        (&old, "/go/api/pipelines/none/stages.xml".to_owned(), 404),
        (&new, "/go/api/feed/pipelines/none/stages.xml".to_owned(), 404),
        (&old, format!("/go/api/pipelines/{name}/stages.xml?before=abc"), 200),
        (
            &new,
            format!("/go/api/feed/pipelines/{name}/stages.xml?before=abc"),
            400,
        ),
        (
            &new,
            format!("/go/api/feed/pipelines/{name}/stages.xml?before=3000000000"),
            400,
        ),
        (&new, format!("/go/api/feed/pipelines/{name}/stages.xml?before="), 200),
        (
            &new,
            format!("/go/api/feed/pipelines/{name}/1/{}/1.xml", stage.name),
            200,
        ),
        (&new, format!("/go/api/feed/pipelines/{name}/1/none/1.xml"), 500),
        (&new, format!("/go/api/feed/pipelines/{name}/99999.xml"), 404),
        (&new, format!("/go/api/pipelines/{name}/1"), 200),
        (
            &old,
            format!("/go/api/pipelines/WHATEVER/{}.xml", pipeline.runs[0].id),
            200,
        ),
        (&old, format!("/go/api/stages/{}.xml", stage.id), 200),
        (&old, format!("/go/api/jobs/{}.xml", stage.jobs[0].id), 200),
        (&old, "/go/api/stages/1.xml".to_owned(), 404),
        (&old, by_name.clone(), 302),
        (&new, by_name.clone(), 404),
        (&old, "/go/api/materials/300.xml".to_owned(), 404),
        (&old, "/api/pipelines.xml".to_owned(), 404),
    ] {
        let answer = server.answer(&target, &xml);
        assert_eq!(answer.status, status, "{:?} {target}", server.generation());
    }
    let to = old.answer(&by_name, &xml).header("Location").unwrap().to_owned();
    assert_eq!(to, format!("http://localhost:8153/go/api/stages/{}.xml", stage.id));
    let deprecated = new.answer("/go/api/feed/pipelines.xml", &xml);
    assert_eq!(deprecated.header("x-gocd-api-removal-in"), Some("v25.1.0"));

    // A server takes its own name from the request; one behind a proxy gets a wrong one.
    let host = [("host".to_owned(), "go.example.com".to_owned())];
    let list = old.clone().linking_as_asked().answer("/go/api/pipelines.xml", &host);
    let is_foreign = |body: &[u8]| {
        let link = Href::new(read::pipelines(body).unwrap().pipelines[0].feed.as_str()).unwrap();
        ServerUrl::parse("http://go.example.com").unwrap().is_foreign(&link)
    };
    assert!(!is_foreign(&list.body));
    assert!(is_foreign(&ok(&old, "/go/api/pipelines.xml")));
}

#[test]
fn who_may_see_what() {
    let history = History::generate(5, &Shape::default());
    let name = history.pipelines[0].name.as_str().to_owned();
    for (generation, api, denied) in [
        (Generation::Old, "pipelines", 401),
        (Generation::Both, "pipelines", 403),
        (Generation::New, "feed/pipelines", 401),
    ] {
        let mut access = Access::basic("ann", "secret");
        access.hidden.push(name.clone());
        let server = Server::new(history.clone(), generation).with_access(access);
        let list = format!("/go/api/{api}.xml");
        let feed = format!("/go/api/{api}/{name}/stages.xml");
        let nobody = server.answer(&list, &[]);
        assert_eq!(nobody.status, 401);
        assert!(nobody.header("WWW-Authenticate").is_some());
        let ann = [("authorization".to_owned(), "Basic YW5uOnNlY3JldA==".to_owned())];
        assert!(
            read::pipelines(&server.answer(&list, &ann).body)
                .unwrap()
                .pipelines
                .is_empty()
        );
        let answer = server.answer(&feed, &ann);
        assert_eq!((answer.status, answer.header("WWW-Authenticate")), (denied, None));
    }
}

/// All that a server sends for a request on a connection of its own.
fn fetch(standin: &GocdStandin, target: &str) -> String {
    let address = standin.url();
    let address = address.trim_start_matches("http://").trim_end_matches("/go");
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = Vec::new();
    // A connection that is reset ends it too.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn over_http_with_faults() {
    let standin = GocdStandin::start(History::generate(5, &Shape::default()), Generation::Old);
    let list = "/go/api/pipelines.xml";
    let good = fetch(&standin, list);
    assert!(
        good.starts_with("HTTP/1.1 200 ") && good.contains("<pipelines>"),
        "{good}"
    );
    for (fault, status) in [
        (Fault::Unavailable { retry_after: Some(1) }, "503"),
        (Fault::Status(500), "500"),
        (Fault::LoginPage, "200"),
        (Fault::LoginRedirect, "302"),
        (Fault::Deep, "200"),
        (Fault::Laughs, "200"),
        (Fault::Latin1, "200"),
        (Fault::InvalidUtf8, "200"),
        (Fault::Huge, "200"),
        (Fault::CutShort, "200"),
    ] {
        standin.misbehave(fault.clone(), Times::Next(1), "pipelines.xml");
        let answer = fetch(&standin, list);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{fault:?}");
        assert_ne!(answer, good, "{fault:?}");
    }
    standin.misbehave(Fault::Reset, Times::Next(1), list);
    assert_eq!(fetch(&standin, list), "");
    standin.misbehave(Fault::Truncated, Times::Always, "stages.xml");
    assert_eq!(fetch(&standin, list), good, "it is about feeds");
    let feed = format!(
        "/go/api/pipelines/{}/stages.xml",
        standin.server().history().pipelines[0].name
    );
    assert!(!fetch(&standin, &feed).contains("</feed>"));
    standin.behave();
    let first = fetch(&standin, &feed);
    standin.misbehave(Fault::RepeatsPage, Times::Next(1), &feed);
    assert_eq!(fetch(&standin, &format!("{feed}?before=4000001")), first);
    standin.misbehave(Fault::Endless, Times::Next(1), &feed);
    assert_eq!(
        fetch(&standin, &format!("{feed}?before=4000001"))
            .matches("<entry>")
            .count(),
        25
    );
    standin.advance(0);
    assert!(!fetch(&standin, &feed).contains("<entry>"));
    let statuses: Vec<u16> = standin.take_log().iter().map(|logged| logged.status).collect();
    assert_eq!(statuses[..3], [200, 503, 500]);
    assert_eq!(statuses.iter().filter(|status| **status == 0).count(), 1);
    standin.stop();
    assert!(TcpStream::connect(standin.url().trim_start_matches("http://").trim_end_matches("/go")).is_err());
    standin.behave();
    assert!(fetch(&standin, list).starts_with("HTTP/1.1 200 "));
}
