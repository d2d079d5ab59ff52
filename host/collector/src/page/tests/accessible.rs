//! The pages by the rules of axe-core, in a browser, in both schemes and three widths.

use super::browser::{browser, see, serve};
use super::site::{Site, ago, began, ended};
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_FRAME_OPTIONS};
use axum::middleware::{Next, from_fn};
use axum::response::{Html, Response};
use axum::routing::get;
use pipefold_sandbox::{Job, Notification, Status};
use std::io::Write;
use std::process::Command;

/// Runs axe-core in a page within a frame, and hands its faults to the page around it.
const RUN: &str = r#"<script src="/axe.js"></script><script>
addEventListener("load", async () => {
  const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
  const { violations } = await axe.run({ runOnly: tags });
  const faults = violations.map((fault) => `${fault.id} ${fault.nodes.length} × ${fault.nodes[0].html}`);
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth > clientWidth) faults.push(`${scrollWidth - clientWidth} px too wide`);
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  parent.document.body.append(`axe[${dark ? "dark" : "light"} ${innerWidth} ${location.pathname}${location.search}: ${faults.join("; ") || "none"}]`);
});
</script>"#;

/// Adds the rules to a page, and takes away what keeps it from being framed.
async fn with_axe(request: Request, next: Next) -> Response {
    let (mut parts, body) = next.run(request).await.into_parts();
    parts.headers.remove(CONTENT_SECURITY_POLICY);
    parts.headers.remove(X_FRAME_OPTIONS);
    let is_page = parts
        .headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if !is_page {
        return Response::from_parts(parts, body);
    }
    parts.headers.remove("content-length");
    let text = to_bytes(body, 16 << 20).await.unwrap();
    let text = String::from_utf8(text.to_vec())
        .unwrap()
        .replace("</body>", &format!("{RUN}</body>"));
    Response::from_parts(parts, Body::from(text))
}

async fn site() -> Site {
    let site = Site::new();
    for n in 0..30 {
        let start = Notification {
            head_branch: Some(
                if n % 2 == 0 {
                    "main"
                } else {
                    "dependabot/npm/a-branch-with-a-long-name"
                }
                .into(),
            ),
            github_username: Some("mona".into()),
            repository: Some("acme/a-repository-with-a-long-name".into()),
            commit_sha: Some("0123456789abcdef0123456789abcdef01234567".into()),
            pr_number: Some(n),
            pipeline_source: Some("GitHub Actions".into()),
            source_url: Some("https://github.com/acme/a-repository-with-a-long-name/actions/runs/1".into()),
            ..began(
                "acme/a-repository-with-a-long-name/ci",
                &format!("r{n}"),
                90_000 - n * 3_000,
            )
        };
        site.add(start.clone(), ago(90_000 - n * 3_000)).await;
        if let Some(status) = ["success", "failure", "cancelled", "unknown"].get((n % 5) as usize) {
            site.add(ended(&start, status, 200), ago(89_000 - n * 3_000)).await;
        }
    }
    for (name, status) in [("lint", Status::Success), ("unit tests", Status::Failure)] {
        let job = Job {
            reference_id: name.into(),
            name: name.into(),
            status,
            started_at: Some(ago(80_000).to_rfc3339()),
            finished_at: Some(ago(79_000).to_rfc3339()),
        };
        site.add_job("r1", job, false).await;
    }
    site
}

const PAGES: [&str; 13] = [
    "/",
    "/runs",
    "/runs?branch=dependabot&repository=acme",
    "/runs?status=stale",
    "/runs?text=nothing",
    "/runs/r1",
    "/runs/r29",
    "/pipelines?sort=slower&days=7",
    "/pipelines/acme%2Fa-repository-with-a-long-name%2Fci",
    "/pipelines/acme%2Fa-repository-with-a-long-name%2Fci?all=1&days=7",
    "/hooks",
    "/policies",
    "/runs/none",
];

/// The script of axe-core; `None`, with a message, where it cannot be fetched.
fn axe(test: &str) -> Option<String> {
    let fetched = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/axe.sh"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&fetched.stderr);
    match fetched.status.code() {
        Some(0) => Some(std::fs::read_to_string(String::from_utf8_lossy(&fetched.stdout).trim()).unwrap()),
        Some(77) => {
            let why = said.lines().last().unwrap_or_default().trim_start_matches("skipped: ");
            writeln!(std::io::stdout(), "skipped: {test}: {why}").unwrap();
            None
        }
        _ => panic!("{said}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_accessible() {
    let test = "every_page_is_accessible";
    let Some(browser) = browser(test) else { return };
    let Some(axe) = axe(test) else { return };
    let frame = |(page, width)| format!("<iframe width={width} height=900 src=\"{page}\"></iframe>");
    let frames = PAGES
        .iter()
        .flat_map(|page| [1440, 390, 320].map(|width| (page, width)));
    let frames = format!("<!DOCTYPE html><body>{}</body>", frames.map(frame).collect::<String>());
    let router = site().await.router().layer(from_fn(with_axe));
    let router = router
        .route(
            "/axe.js",
            get(move || async move { ([(CONTENT_TYPE, "text/javascript")], axe) }),
        )
        .route("/frames", get(move || async move { Html(frames) }));
    let address = format!("http://{}/frames", serve(router).await);
    for scheme in ["0", "1"] {
        let (browser, address) = (browser.clone(), address.clone());
        let scheme = format!("--blink-settings=preferredColorScheme={scheme}");
        let options = ["--virtual-time-budget=60000", "--window-size=1600,1000", &scheme];
        let seen = tokio::task::block_in_place(|| see(&browser, &address, &options));
        let results: Vec<&str> = seen
            .document
            .split("axe[")
            .skip(1)
            .map(|rest| rest.split(']').next().unwrap())
            .collect();
        assert_eq!(results.len(), 3 * PAGES.len(), "{}\n{}", seen.document, seen.log);
        let dark = scheme.ends_with('0');
        for result in results {
            assert_eq!(result.starts_with("dark"), dark, "{result}");
            assert!(result.ends_with(": none"), "{result}");
        }
    }
}
