//! The pages in a real browser: Chromium, without a window.

use super::site::{Site, ago, began};
use crate::access::Access;
use crate::store::{Append, DxAnswer, Forwarded, RunSummary, Store};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use pipefold_sandbox::{Attribute, Job, Notification, Status};
use std::fs::File;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// A browser starts in a second; on a busy machine in many.
const LONG: Duration = Duration::from_secs(90);

/// The browser; `None`, with a message, where the machine has none.
pub fn browser(test: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let found = std::env::split_paths(&path)
        .flat_map(|dir| names.map(|name| dir.join(name)))
        .find(|file| file.is_file());
    if found.is_none() {
        writeln!(std::io::stdout(), "skipped: {test}: there is no Chromium in PATH").unwrap();
    }
    found
}

/// A browser's result for an address.
pub struct Seen {
    /// The document as it was when all was loaded.
    pub document: String,
    /// The browser's log, with the messages of the page's console.
    pub log: String,
}

pub fn see(browser: &Path, address: &str, options: &[&str]) -> Seen {
    see_in("UTC", browser, address, options)
}

/// Returns what a reader in a time zone sees.
fn see_in(zone: &str, browser: &Path, address: &str, options: &[&str]) -> Seen {
    let dir = tempfile::tempdir().unwrap();
    let (document, log) = (dir.path().join("document"), dir.path().join("log"));
    let mut child = Command::new(browser)
        // Nothing but the loopback, no sandbox of its own (containers forbid it, and the pages are ours), no traces of earlier visits.
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-sync",
            "--dump-dom",
        ])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-dev-shm-usage",
            "--enable-logging=stderr",
        ])
        .arg(format!("--user-data-dir={}", dir.path().join("profile").display()))
        .args(options)
        .arg(address)
        .env("HOME", dir.path())
        .env("TZ", zone)
        .stdin(Stdio::null())
        .stdout(File::create(&document).unwrap())
        .stderr(File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let begin = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begin.elapsed() > LONG {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the browser did not end: {}", std::fs::read_to_string(&log).unwrap());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Seen {
        document: std::fs::read_to_string(&document).unwrap(),
        log: String::from_utf8_lossy(&std::fs::read(&log).unwrap()).into_owned(),
    }
}

pub async fn serve(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Renames the document if it runs, and is there to be read if it does not.
fn attack(field: &str) -> String {
    format!(
        "</title>\"'><script>document.title='{field} ran'</script><img src=x onerror=\"document.title='{field} ran'\"><xss-{field}>"
    )
}

/// A run whose every text is an attack, but for its reference.
fn attacker(reference_id: &str) -> Notification {
    Notification {
        gitlab_username: Some(attack("gitlab")),
        status: Some(attack("status")),
        pipeline_source: Some(attack("source")),
        repository: Some(attack("repository")),
        head_branch: Some(attack("branch")),
        commit_sha: Some(attack("commit")),
        email: Some(attack("email")),
        github_username: Some(attack("person")),
        attributes: vec![Attribute {
            key: attack("key"),
            value: attack("value"),
        }],
        source_url: Some("javascript:document.title='link ran'".into()),
        ..began(&attack("pipeline"), reference_id, 60)
    }
}

/// The messages between the two sides of the test.
#[derive(Clone)]
struct Stage {
    listening: Arc<Semaphore>,
    asked_again: Arc<Semaphore>,
}

/// Sends the end of the first page only after the page was asked for again: until then the browser has not loaded it, and waits.
async fn hold_open(State(stage): State<Stage>, request: Request, next: Next) -> Response {
    let (path, from_script) = (
        request.uri().path().to_owned(),
        request
            .headers()
            .get("sec-fetch-dest")
            .is_some_and(|dest| dest == "empty"),
    );
    let response = next.run(request).await;
    match (path.as_str(), from_script) {
        ("/events", _) => stage.listening.add_permits(1),
        ("/runs", true) => stage.asked_again.add_permits(1),
        ("/runs", false) => {
            let (mut parts, body) = response.into_parts();
            let text = String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap();
            let (now, later) = text.rsplit_once("</body>").unwrap();
            let later = format!("</body>{later}");
            let later = stream::once(async move {
                // However it ends, the page does.
                let _ = timeout(LONG / 2, stage.asked_again.acquire()).await;
                sleep(Duration::from_millis(500)).await;
                Ok::<_, std::io::Error>(Bytes::from(later))
            });
            let now = stream::iter([Ok(Bytes::from(now.to_owned()))]);
            parts.headers.remove("content-length");
            // A proxy must not wait for the end of this page either.
            parts
                .headers
                .insert("x-accel-buffering", HeaderValue::from_static("no"));
            return Response::from_parts(parts, Body::from_stream(now.chain(later)));
        }
        _ => {}
    }
    response
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_appears_by_itself_and_its_values_do_nothing() {
    let Some(browser) = browser("a_run_appears_by_itself_and_its_values_do_nothing") else {
        return;
    };
    sees_a_new_run(browser, |address| address).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_appears_by_itself_behind_nginx() {
    let name = "a_run_appears_by_itself_behind_nginx";
    let Some(browser) = browser(name) else { return };
    if Command::new("nginx").arg("-v").output().is_err() {
        let why = "there is no nginx (Debian: apt-get install nginx-light)";
        return writeln!(std::io::stdout(), "skipped: {name}: {why}").unwrap();
    }
    let mut nginx = None;
    sees_a_new_run(browser, |upstream| nginx.insert(Nginx::start(upstream)).address).await;
}

/// A real nginx in front of a server, with nothing configured but where to pass requests on.
struct Nginx {
    process: Child,
    address: SocketAddr,
    _dir: TempDir,
}

impl Nginx {
    fn start(upstream: SocketAddr) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Free a moment ago; nginx takes no port of the system's choice.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let here = dir.path().display();
        let configuration = format!(
            "daemon off; master_process off; pid {here}/pid; error_log {here}/error.log; events {{}}
            http {{
                access_log off; client_body_temp_path {here}/a; proxy_temp_path {here}/b;
                fastcgi_temp_path {here}/c; uwsgi_temp_path {here}/d; scgi_temp_path {here}/e;
                server {{ listen {address}; location / {{ proxy_pass http://{upstream}; }} }}
            }}"
        );
        std::fs::write(dir.path().join("nginx.conf"), configuration).unwrap();
        let mut command = Command::new("nginx");
        command
            .arg("-p")
            .arg(dir.path())
            .arg("-c")
            .arg(dir.path().join("nginx.conf"));
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let begin = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(begin.elapsed() < LONG, "nginx listens");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self {
            process,
            address,
            _dir: dir,
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Opens the list in a browser, adds a run, and checks that the page has it without being loaded again.
async fn sees_a_new_run(browser: PathBuf, in_front: impl FnOnce(SocketAddr) -> SocketAddr) {
    let site = Site::new();
    site.add(attacker("before"), ago(60)).await;
    let stage = Stage {
        listening: Arc::new(Semaphore::new(0)),
        asked_again: Arc::new(Semaphore::new(0)),
    };
    let address = serve(site.router().layer(from_fn_with_state(stage.clone(), hold_open))).await;
    let address = in_front(address);
    let seeing = tokio::task::spawn_blocking(move || see(&browser, &format!("http://{address}/runs"), &[]));
    timeout(LONG, stage.listening.acquire())
        .await
        .unwrap()
        .unwrap()
        .forget();
    site.add(attacker("after"), ago(30)).await;
    site.changes.send("any".into()).unwrap();
    let seen = seeing.await.unwrap();
    let document = &seen.document;
    assert!(
        document.contains("\"/runs/before\"") && document.contains("\"/runs/after\""),
        "{document}\n{}",
        seen.log
    );
    assert!(
        document.contains("<title>Runs · pipefold</title>") && !document.contains("<xss-"),
        "{document}"
    );
    let sign = document
        .split("id=\"live-sign\"")
        .nth(1)
        .unwrap()
        .split('>')
        .next()
        .unwrap();
    assert!(!sign.contains("hidden"), "{sign}");
    assert!(
        !seen.log.contains("Content Security Policy") && !seen.log.contains("Uncaught"),
        "{}",
        seen.log
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_is_in_nobodys_way_and_no_value_runs() {
    let Some(browser) = browser("the_policy_is_in_nobodys_way_and_no_value_runs") else {
        return;
    };
    let site = Site::new();
    let append = Append {
        reference_id: "r".into(),
        source: None,
        jobs: Vec::new(),
        notifications: vec![
            Notification {
                source_url: Some(format!("https://ci.example/{}", attack("url"))),
                ..attacker("r")
            }
            .into(),
        ],
        token: attack("token"),
        access: Access::everything(),
        arrived: ago(60),
    };
    let RunSummary { id, pipeline, .. } = site.store.append(append).await.unwrap().run;
    let job = Job {
        reference_id: attack("job id"),
        name: attack("job"),
        status: Status::Success,
        started_at: None,
        finished_at: None,
    };
    site.add_job("r", job, true).await;
    let answer = DxAnswer {
        at: ago(30),
        accepted: false,
        text: attack("answer"),
        as_cancelled: false,
    };
    let forwarded = Forwarded {
        id,
        covered: 1,
        answer: Some(answer),
        sent: None,
    };
    site.store.forwarded(forwarded).await.unwrap();
    let named = site
        .add(attacker(&attack("reference")), ago(50))
        .await
        .record
        .reference_id;
    let named = percent_encoding::utf8_percent_encode(&named, percent_encoding::NON_ALPHANUMERIC).to_string();
    let pipeline = percent_encoding::utf8_percent_encode(&pipeline, percent_encoding::NON_ALPHANUMERIC).to_string();
    let address = serve(site.router()).await;
    for page in [
        "/runs/r".to_owned(),
        format!("/runs/{named}"),
        "/pipelines".to_owned(),
        format!("/pipelines/{pipeline}"),
        "/".to_owned(),
        format!("/?branch={pipeline}"),
    ] {
        let browser = browser.clone();
        let address = format!("http://{address}{page}");
        let seen = tokio::task::spawn_blocking(move || see(&browser, &address, &["--window-size=360,800"]))
            .await
            .unwrap();
        assert!(
            seen.document.contains("<main id=\"main\""),
            "{page}: {}\n{}",
            seen.document,
            seen.log
        );
        let title = seen
            .document
            .split("<title>")
            .nth(1)
            .unwrap()
            .split("</title>")
            .next()
            .unwrap();
        assert!(title.ends_with(" · pipefold"), "{page}: {title}");
        assert!(
            !seen.document.contains("<xss-") && !seen.document.contains("<img"),
            "{page}: {}",
            seen.document
        );
        assert!(
            !seen.log.contains("Content Security Policy") && !seen.log.contains("Uncaught"),
            "{page}: {}",
            seen.log
        );
        // Each is read as it is: none was cut off, or is shown on no page.
        let shown: &[&str] = match page.as_str() {
            "/runs/r" => &[
                "pipeline",
                "source",
                "repository",
                "branch",
                "commit",
                "email",
                "person",
                "gitlab",
                "key",
                "value",
                "job",
                "status",
                "url",
                "token",
                "answer",
            ],
            "/pipelines" => &["pipeline"],
            _ if page.ends_with(&named) => &["reference"],
            _ => &[],
        };
        for field in shown {
            let text = format!("&lt;xss-{field}&gt;");
            assert!(
                seen.document.contains(&text),
                "{page}: {field} is not there\n{}",
                seen.document
            );
        }
    }
}

/// Presses keys, and writes down where the focus is.
const KEYS: &str = r#"<script>addEventListener("load", () => {
  const at = () => document.activeElement.name || document.activeElement.getAttribute("href");
  const press = (key) => { document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true })); return at(); };
  const seen = [press("j"), press("j"), press("k"), press("k"), press("/"), press("j")];
  document.body.append(`keys[${seen.join(" ")}]`);
});</script>"#;

async fn with_keys(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    if response
        .headers()
        .get("content-type")
        .is_none_or(|kind| !kind.as_bytes().starts_with(b"text/html"))
    {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    parts.headers.remove("content-security-policy");
    parts.headers.remove("content-length");
    let text = String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap();
    Response::from_parts(parts, Body::from(text.replace("</body>", &format!("{KEYS}</body>"))))
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_move_and_times_are_of_the_reader() {
    let Some(browser) = browser("keys_move_and_times_are_of_the_reader") else {
        return;
    };
    let site = Site::new();
    for n in 1..=3 {
        site.add(began("p", &format!("r{n}"), 100 - n), ago(100 - n)).await;
    }
    let address = serve(site.router().route_layer(axum::middleware::from_fn(with_keys))).await;
    let see = |path: &str| {
        let address = format!("http://{address}{path}");
        tokio::task::block_in_place(|| see_in("Asia/Kolkata", &browser, &address, &[]))
    };
    let seen = see("/?text=r").document;
    assert!(
        seen.contains("keys[/runs/r3 /runs/r2 /runs/r3 /runs/r3 text text]"),
        "{seen}"
    );
    assert!(seen.contains("times are of Asia/"), "{seen}");
    // 2025-06-15 15:05:01 UTC.
    assert!(
        seen.contains("title=\"2025-06-15 20:35:01 · 2025-06-15 15:05:01 UTC\""),
        "{seen}"
    );
    let run = see("/runs/r1").document;
    assert!(
        run.contains("title=\"2025-06-15 15:05:01 UTC\">2025-06-15 20:35:01<"),
        "{run}"
    );
}
