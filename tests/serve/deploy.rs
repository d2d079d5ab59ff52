//! The files of `examples/deploy` start the servers that they describe.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pipefold_tests::http::Client;
use pipefold_tests::{Ci, Collector, binary, eventually, skipped, workspace_root};
use serde_json::json;

fn example(name: &str) -> String {
    std::fs::read_to_string(workspace_root().join("examples/deploy").join(name)).unwrap()
}

/// The arguments behind the command's name in the unit.
fn of_the_unit() -> Vec<String> {
    let unit = example("pipefold.service");
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    line.split(' ').skip(1).map(str::to_owned).collect()
}

/// The arguments that the image starts with.
fn of_the_image() -> Vec<String> {
    let file = example("Containerfile");
    let line = file.lines().find_map(|line| line.strip_prefix("CMD ")).unwrap();
    serde_json::from_str(line).unwrap()
}

/// The image's health check.
fn health_check() -> Vec<String> {
    let file = example("Containerfile");
    let line = file
        .lines()
        .find_map(|line| line.strip_prefix("HEALTHCHECK CMD "))
        .unwrap();
    serde_json::from_str(line).unwrap()
}

/// A command whose directory is named as systemd and the image do.
fn pipefold(state: &Path) -> Command {
    let mut command = Command::new(binary("pipefold"));
    command.env_clear().env("STATE_DIRECTORY", state);
    command
}

#[test]
fn each_example_starts_and_keeps_its_data_in_its_directory() {
    for (name, arguments) in [("unit", of_the_unit()), ("image", of_the_image())] {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("pipefold");
        let token = pipefold(&state).args(["token", "add", "builds"]).output().unwrap();
        assert!(token.status.success(), "{token:?}");
        let token = String::from_utf8(token.stdout).unwrap();
        // The port that is written may be taken here.
        let arguments = arguments.iter().map(|argument| argument.replace(":8642", ":0"));
        let mut child = pipefold(&state)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut url)
            .unwrap();
        let address = url
            .trim()
            .strip_prefix("http://")
            .and_then(|address| address.parse().ok());
        let status = address.map(|address| Client::new(address).with_token(token.trim()).get("/api/runs").status);
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(status, Some(200), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(state.join("pipefold.sqlite").is_file(), "{name}");
    }
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit_and_its_drop_in() {
    let dir = tempfile::tempdir().unwrap();
    let here = |text: String| text.replace("/usr/local/bin/pipefold", &binary("pipefold").to_string_lossy());
    let drop_ins = dir.path().join("pipefold.service.d");
    std::fs::create_dir(&drop_ins).unwrap();
    std::fs::write(dir.path().join("pipefold.service"), here(example("pipefold.service"))).unwrap();
    let verify = || {
        let mut command = Command::new("systemd-analyze");
        command.args(["verify", "--man=no", "pipefold.service"]);
        // The system's own units beside it, which it names.
        let path = format!("{}:", dir.path().display());
        command.env("SYSTEMD_UNIT_PATH", path).output()
    };
    for with_drop_in in [false, true] {
        if with_drop_in {
            std::fs::write(drop_ins.join("forward.conf"), here(example("forward.conf"))).unwrap();
        }
        let Ok(output) = verify() else {
            let why = "there is no systemd-analyze";
            return skipped("systemd_finds_nothing_wrong_with_the_unit_and_its_drop_in", why);
        };
        assert!(output.status.success(), "{output:?}");
        assert_eq!(about_ours(&output.stderr), Vec::<String>::new());
    }
    // It does find what is wrong.
    std::fs::write(drop_ins.join("wrong.conf"), "[Service]\nNoSuchThing=yes\n").unwrap();
    assert_ne!(about_ours(&verify().unwrap().stderr), Vec::<String>::new());
}

/// Its complaints about these files, without those about the system's own.
fn about_ours(stderr: &[u8]) -> Vec<String> {
    let lines = String::from_utf8_lossy(stderr);
    lines
        .lines()
        .filter(|line| line.contains("pipefold"))
        .map(str::to_owned)
        .collect()
}

/// A real nginx in front of a server, with nothing configured but where to pass requests on.
struct Nginx {
    process: Child,
    address: SocketAddr,
}

impl Nginx {
    fn start(dir: &Path, upstream: SocketAddr) -> Option<Self> {
        // Free a moment ago; nginx takes no port of the system's choice.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let here = dir.display();
        let configuration = format!(
            "daemon off; master_process off; pid {here}/pid; error_log {here}/error.log;
            events {{}}
            http {{
                access_log off;
                client_body_temp_path {here}/a; proxy_temp_path {here}/b; fastcgi_temp_path {here}/c; uwsgi_temp_path {here}/d;
                scgi_temp_path {here}/e;
                server {{ listen {address}; location / {{ proxy_pass http://{upstream}; }} }}
            }}"
        );
        std::fs::write(dir.join("nginx.conf"), configuration).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-p").arg(dir).arg("-c").arg(dir.join("nginx.conf"));
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let nginx = Self { process, address };
        eventually("nginx listens", || TcpStream::connect(address).is_ok());
        Some(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn pages_are_live_behind_a_proxy_with_its_defaults() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start(&dir.path().join("data"));
    let Some(nginx) = Nginx::start(dir.path(), collector.address) else {
        let why = "there is no nginx (Debian: apt-get install nginx-light)";
        return skipped("pages_are_live_behind_a_proxy_with_its_defaults", why);
    };
    let mut stream = TcpStream::connect(nginx.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
        .write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let mut until = |words: &str| {
        let (begin, mut heard) = (Instant::now(), String::new());
        while !heard.contains(words) {
            let mut some = [0; 1024];
            let count = stream.read(&mut some).unwrap_or(0);
            assert!(count > 0, "no {words} after {:?}: {heard}", begin.elapsed());
            heard.push_str(&String::from_utf8_lossy(&some[..count]));
        }
    };
    until("retry:");
    let run = json!({
        "pipeline_name": "p", "pipeline_source": "tests", "reference_id": "r", "started_at": "2025-01-01T12:05:00Z",
    });
    assert_eq!(Client::new(nginx.address).upsert(&run).unwrap().status, 200);
    until("event: changed");
}

#[test]
fn a_backup_is_restored_as_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let (data, backup) = (dir.path().join("data"), dir.path().join("backup.sqlite"));
    let collector = Collector::start(&data);
    let run = json!({
        "pipeline_name": "p", "pipeline_source": "tests", "reference_id": "r", "started_at": "2025-01-01T12:05:00Z",
    });
    assert_eq!(collector.client().upsert(&run).unwrap().status, 200);
    let token = collector.token("web", &["--read"]);
    let mut command = Command::new(binary("pipefold"));
    command
        .args(["serve", "--data-dir"])
        .arg(&data)
        .arg("--backup")
        .arg(&backup);
    let written = command.env_clear().output().unwrap();
    let said = String::from_utf8_lossy(&written.stderr).into_owned();
    assert!(written.status.success() && said.contains("tokens.json"), "{said}");
    // The lines of the document.
    let document = example("README.md");
    let lines: Vec<&str> = document
        .lines()
        .skip_while(|line| *line != "sudo systemctl stop pipefold")
        .collect();
    let lines: Vec<&str> = lines.into_iter().take_while(|line| *line != "```").collect();
    assert!(lines.len() > 3, "{lines:?}");
    std::fs::copy(data.join("tokens.json"), dir.path().join("tokens.json")).unwrap();
    collector.stop();
    for damaged in [true, false] {
        if damaged {
            std::fs::write(data.join("pipefold.sqlite"), "damaged").unwrap();
            std::fs::write(data.join("pipefold.sqlite-wal"), "of the database before").unwrap();
        } else {
            std::fs::remove_dir_all(&data).unwrap();
        }
        restore(dir.path(), &data, &lines);
        let collector = Collector::start(&data);
        let status = |token: &str| collector.client().with_token(token).get("/api/runs/r").status;
        assert_eq!((status("another"), status(&token)), (401, 200), "{damaged}");
        collector.stop();
    }
}

/// Runs the commands of the document, with other directories.
fn restore(dir: &Path, data: &Path, lines: &[&str]) {
    let script: Vec<String> = lines
        .iter()
        .filter(|line| !line.contains("systemctl"))
        .map(|line| {
            line.replace("sudo ", "")
                .replace("/var/lib/private/pipefold", &data.display().to_string())
        })
        .collect();
    let restored = Command::new("sh")
        .args(["-e", "-c", &script.join("\n")])
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(restored.status.success(), "{script:?}: {restored:?}");
    let is_left = |(path, _): &(std::path::PathBuf, Vec<u8>)| path.ends_with("pipefold.sqlite-wal");
    assert!(!Ci::files(data).iter().any(is_left));
}

#[test]
fn a_container_asks_how_its_server_does() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start(&dir.path().join("data"));
    let probe = |address: &str| {
        let mut command = Command::new(binary("pipefold"));
        let check = health_check();
        assert_eq!(check[0], "pipefold");
        // The usual port may be taken here.
        let output = command
            .args(&check[1..])
            .args(["--listen", address])
            .env_clear()
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let port = collector.address.port().to_string();
    assert_eq!(probe(&port).0, Some(0));
    collector.stop();
    let (code, said) = probe(&port);
    assert!(code == Some(1) && said.contains("nothing answers"), "{said}");
    // One that speaks TLS, with a certificate as most people make them.
    let (certificate, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    let mut openssl = Command::new("openssl");
    openssl.args([
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]);
    openssl.args(["-addext", "subjectAltName=DNS:localhost"]);
    let made = openssl.arg("-out").arg(&certificate).arg("-keyout").arg(&key).output();
    if !made.is_ok_and(|made| made.status.success()) {
        return skipped("a_container_asks_how_its_server_does", "there is no openssl");
    }
    let mut command = Command::new(binary("pipefold"));
    command
        .args(["serve", "--listen", "localhost:0", "--tls-cert"])
        .arg(&certificate);
    command
        .arg("--tls-key")
        .arg(&key)
        .arg("--data-dir")
        .arg(dir.path().join("data"))
        .env_clear();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut url = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut url)
        .unwrap();
    let probed = probe(url.trim().strip_prefix("https://").unwrap());
    child.kill().unwrap();
    let said = String::from_utf8_lossy(&child.wait_with_output().unwrap().stderr).into_owned();
    assert_eq!(probed.0, Some(0), "{}", probed.1);
    assert!(said.contains("basicConstraints=critical,CA:FALSE"), "{said}");
}

#[test]
fn flags_that_would_do_nothing_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (arguments, flag) in [
        (
            &["serve", "--dx-url", "https://x.getdx.net", "--spool", "s"][..],
            "--dx-url and --spool do nothing",
        ),
        (&["serve", "--dry-run"], "--dry-run does nothing"),
        (&["serve", "--local"], "--local does nothing"),
        (&["serve", "--spool", "s"], "--spool does nothing"),
        (&["serve", "--backup", "b", "--strict"], "--strict does nothing"),
        (&["token", "add", "x", "--dry-run"], "--dry-run does nothing"),
        (
            &["token", "list", "--queue", "nats://127.0.0.1"],
            "--queue does nothing",
        ),
    ] {
        let mut command = pipefold(&dir.path().join("data"));
        let output = command.args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.code() == Some(2) && said.contains(flag),
            "{arguments:?}: {output:?}"
        );
        assert!(!dir.path().join("data").exists(), "{arguments:?}");
    }
    let mut command = pipefold(&dir.path().join("data"));
    let output = command.args(["serve", "--token-file", "t"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(1) && said.contains("--token-file does nothing"),
        "{said}"
    );
}
