//! The questions of a morning, answered from the start page within three clicks, in a browser without scripts.

use super::browser::{browser, see, serve};
use super::site::{Site, ago, began, ended, now};
use crate::seed;
use crate::store::Store;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::middleware::map_response;
use axum::response::Response;
use pipefold_sandbox::Notification;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The beginning of the list of pipelines.
const TABLE: &str = "class=\"now\"";

/// A visitor who follows links.
struct Visitor {
    browser: PathBuf,
    address: SocketAddr,
    seen: HashMap<String, String>,
    here: String,
    clicks: u32,
}

impl Visitor {
    /// Opens the start page for a new question.
    fn start(&mut self) {
        self.clicks = 0;
        self.open("/");
    }

    fn open(&mut self, path: &str) {
        if !self.seen.contains_key(path) {
            let seen = see(&self.browser, &format!("http://{}{path}", self.address), &[]);
            assert!(seen.document.contains("<main id=\"main\""), "{path}: {}", seen.log);
            self.seen.insert(path.to_owned(), seen.document);
        }
        path.clone_into(&mut self.here);
    }

    fn page(&self) -> &str {
        &self.seen[&self.here]
    }

    /// Follows the first link with this text within a part of the page.
    fn click(&mut self, within: &str, text: &str) {
        let href = link(self.part(within), text)
            .unwrap_or_else(|| panic!("no link {text} on {}:\n{}", self.here, self.page()));
        self.clicks += 1;
        assert!(self.clicks <= 3, "{text} is the fourth click");
        let path = href.split('#').next().unwrap().to_owned();
        self.open(&path);
    }

    /// The part of the page from this text to the end of its row or table; all of the page for none.
    fn part(&self, begin: &str) -> &str {
        let page = self.page();
        let at = page
            .find(begin)
            .unwrap_or_else(|| panic!("no {begin} on {}:\n{page}", self.here));
        let end = match begin {
            "" => "</html>",
            TABLE => "</table>",
            _ => "</tr>",
        };
        page[at..].split(end).next().unwrap()
    }

    /// The row of a pipeline.
    fn row(&self, pipeline: &str) -> &str {
        self.page()
            .split("<tr>")
            .find(|row| row.contains(&format!(">{pipeline}</bdi>")))
            .unwrap_or_else(|| panic!("no row of {pipeline} on {}", self.here))
    }

    /// The first pipeline of the list.
    fn first(&self) -> &str {
        let row = self.page().split("<tr>").nth(2).unwrap();
        row.split("<bdi>").nth(1).unwrap().split('<').next().unwrap()
    }
}

fn link(part: &str, text: &str) -> Option<String> {
    let links = part.split("<a ").skip(1).map(|link| link.split("</a>").next().unwrap());
    let found = links.into_iter().find(|link| {
        let content = link.split_once('>').map_or("", |(_, content)| content);
        content == text || content == format!("<bdi>{text}</bdi>") || content.starts_with(&format!("{text}<span"))
    })?;
    Some(found.split("href=\"").nth(1)?.split('"').next()?.replace("&amp;", "&"))
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_questions_are_answered_within_three_clicks() {
    let Some(browser) = browser("ten_questions_are_answered_within_three_clicks") else {
        return;
    };
    let site = Site::new();
    seed::store(&*site.store, seed::month(now())).await;
    // A second policy forbids the page's own script too.
    let without_scripts = |mut response: Response| async {
        let none = HeaderValue::from_static("script-src 'none'");
        response.headers_mut().append(CONTENT_SECURITY_POLICY, none);
        response
    };
    let address = serve(site.router().layer(map_response(without_scripts))).await;
    let mut visitor = Visitor {
        browser,
        address,
        seen: HashMap::new(),
        here: String::new(),
        clicks: 0,
    };
    tokio::task::spawn_blocking(move || {
        let visitor = &mut visitor;
        visitor.start();
        // What is red now? The failing ones are first, the latest failure on top.
        let states: Vec<bool> = visitor
            .page()
            .split("<tr>")
            .skip(2)
            .map(|row| row.contains("Failing</span>"))
            .collect();
        assert!(
            states[0]
                && states
                    .iter()
                    .rev()
                    .skip_while(|failing| !**failing)
                    .all(|failing| *failing),
            "{states:?}"
        );
        assert_eq!(visitor.first(), seed::FLAKY);
        let row = visitor.row(seed::BROKEN);
        // Since when, who, which step, is it flaky?
        assert!(
            row.contains("Failing</span>") && row.contains("Since <time") && row.contains(">5 h ago</time>"),
            "{row}"
        );
        assert!(row.contains("by <a") && row.contains("<bdi>mona</bdi>"), "{row}");
        assert!(row.contains("failed step <b><bdi>integration</bdi></b>"), "{row}");
        assert!(
            !row.contains(">flaky</span>") && visitor.row(seed::FLAKY).contains(">flaky</span>"),
            "{row}"
        );
        // Where is the log? One click leads to the CI system.
        let log = link(row, "Log").unwrap();
        assert!(log.starts_with("https://ci.example/shop-checkout/"), "{log}");
        // Which change broke it? The first failed run is one click away.
        let first = row
            .split("first <a href=\"")
            .nth(1)
            .unwrap()
            .split(">#")
            .nth(1)
            .unwrap()
            .split('<')
            .next()
            .unwrap();
        let first = format!("#{first}");
        visitor.click(seed::BROKEN, &first);
        assert!(
            visitor
                .page()
                .contains(&format!("<span class=\"counter\">{first}</span>")),
            "{}",
            visitor.page()
        );

        // What got slower, and which step of it?
        visitor.start();
        visitor.click("", "7 days");
        visitor.click("", "Got slower");
        assert_eq!(visitor.first(), seed::SLOWER);
        visitor.click(TABLE, seed::SLOWER);
        let step = visitor.part("<bdi>bundle</bdi>");
        assert!(step.contains("class=\"change worse\"") && step.contains(">×"), "{step}");

        // What fails most, and how long does it take until it is green?
        visitor.start();
        visitor.click("", "Most failures");
        assert_eq!(visitor.first(), seed::FAILS_MOST);
        visitor.click(TABLE, seed::FAILS_MOST);
        let green = visitor
            .page()
            .split("Time to green</dt><dd>")
            .nth(1)
            .unwrap()
            .split('<')
            .next()
            .unwrap();
        assert!(
            green.ends_with('m') || green.ends_with('h') || green.ends_with('s'),
            "{green}"
        );

        // What takes longest, and what runs most?
        visitor.start();
        visitor.click("", "Slowest");
        assert_eq!(visitor.first(), seed::SLOWEST);
        visitor.start();
        visitor.click("", "Most run");
        assert_eq!(visitor.first(), seed::RUNS_MOST);

        // What runs now, and what was given up?
        visitor.start();
        let row = visitor.row(seed::RUNNING);
        assert!(row.contains(">Running</span>") && row.contains("so far"), "{row}");
        assert!(visitor.row(seed::STALE).contains("Stale</span>"));

        // Which commits are flaky, and which runs were it?
        visitor.click(TABLE, seed::FLAKY);
        let page = visitor.page().split("id=\"flaky\"").nth(1).unwrap();
        assert!(page.contains(&format!("title=\"{}\"", "f1a4".repeat(10))), "{page}");

        // Did one run take a day? The others stay visible, and it is named.
        visitor.start();
        visitor.click(TABLE, seed::OUTLIER);
        assert!(visitor.page().contains("Higher than the axis: ") && visitor.page().contains("(22h 00m)"));
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn the_same_commit_failed_and_passed() {
    let site = Site::new();
    let of = |reference: &str, commit: &str, seconds: i64, status: &str| {
        let start = Notification {
            commit_sha: Some(commit.into()),
            head_branch: Some("main".into()),
            source_url: Some("javascript:alert(1)".into()),
            ..began("p", reference, seconds)
        };
        (ended(&start, status, 5), ago(seconds))
    };
    for (notification, arrived) in [
        of("a", "c1", 500, "failure"),
        of("b", "c1", 400, "success"),
        of("c", "c2", 300, "failure"),
        of("d", "c3", 200, "success"),
        of("e", "c3", 100, "cancelled"),
    ] {
        site.add(notification, arrived).await;
    }
    // The same commit of another pipeline is another thing.
    let (mut other, arrived) = of("other", "c2", 50, "success");
    other.pipeline_name = Some("q".into());
    site.add(other, arrived).await;
    let page = site.page("/runs").await;
    let flaky = |reference: &str| {
        let row = page
            .split("<tr>")
            .find(|row| row.contains(&format!("/runs/{reference}\"")))
            .unwrap();
        row.contains("flaky")
    };
    assert_eq!(
        ["a", "b", "c", "d", "e", "other"].map(flaky),
        [true, true, false, false, false, false]
    );
    // Its runs lead to each other.
    let page = site.page("/runs/a").await;
    assert!(
        page.contains("Runs of this commit") && page.contains("href=\"/runs/b\"") && page.contains("flaky"),
        "{page}"
    );
    let page = site.page("/runs/e").await;
    assert!(page.contains("href=\"/runs/d\"") && !page.contains("flaky"), "{page}");
    assert!(!site.page("/runs/c").await.contains("Runs of this commit"));
    // A list of a pipeline, and what is no link stays none.
    let page = site.page("/pipelines/p").await;
    let page = page
        .split("id=\"flaky\"")
        .nth(1)
        .unwrap()
        .split("</section>")
        .next()
        .unwrap();
    assert!(
        page.contains("Flaky commits") && page.contains("title=\"c1\"") && !page.contains("title=\"c2\""),
        "{page}"
    );
    let (last, arrived) = of("f", "c4", 10, "failure");
    site.add(last, arrived).await;
    let page = site.page("/").await;
    assert!(
        page.contains("Failing</span>") && page.contains("1 flaky commit") && !page.contains("javascript"),
        "{page}"
    );
}

#[tokio::test]
async fn a_state_is_of_the_main_branch_and_changes_with_its_runs() {
    let site = Site::new();
    let add = async |reference: &str, branch: &str, seconds: i64, status: &str| {
        let start = Notification {
            head_branch: Some(branch.into()),
            ..began("p", reference, seconds)
        };
        site.add(ended(&start, status, 5), ago(seconds)).await;
    };
    add("a", "main", 400_000, "success").await;
    for n in 0..3 {
        add(&format!("x{n}"), "dependabot", 300 - n, "failure").await;
    }
    let page = site.page("/").await;
    assert!(
        page.contains("Passing</span>") && page.contains("none failing"),
        "{page}"
    );
    add("b", "main", 100, "failure").await;
    let page = site.page("/").await;
    assert!(page.contains("Failing</span>") && page.contains("1 failing"), "{page}");
    add("c", "main", 50, "success").await;
    assert!(site.page("/").await.contains("Passing</span>"));
    // Pipelines without runs are none.
    let retention = crate::store::Retention {
        before: now(),
        keep_waiting: false,
    };
    assert_eq!(site.store.retain(retention).await.unwrap(), 6);
    assert!(site.page("/").await.contains("No pipelines yet"));
}
