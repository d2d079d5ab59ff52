//! The files of `examples/deploy` start what they say.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use pipefold_tests::http::Client;
use pipefold_tests::{binary, skipped, workspace_root};

fn example(name: &str) -> String {
    std::fs::read_to_string(workspace_root().join("examples/deploy").join(name)).unwrap()
}

/// The arguments behind the command's name in the unit.
fn of_the_unit() -> Vec<String> {
    let unit = example("pipefold.service");
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    line.split(' ').skip(1).map(str::to_owned).collect()
}

/// Those that the image starts with.
fn of_the_image() -> Vec<String> {
    let file = example("Containerfile");
    let line = file.lines().find_map(|line| line.strip_prefix("CMD ")).unwrap();
    serde_json::from_str(line).unwrap()
}

/// A command whose directory is named as systemd and the image do.
fn pipefold(state: &Path) -> Command {
    let mut command = Command::new(binary("pipefold"));
    command.env_clear().env("STATE_DIRECTORY", state);
    command
}

#[test]
fn each_starts_as_it_is_written_and_keeps_what_it_has_where_it_is_told() {
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

/// What it says of these files, and not of the system's own.
fn about_ours(stderr: &[u8]) -> Vec<String> {
    let lines = String::from_utf8_lossy(stderr);
    lines
        .lines()
        .filter(|line| line.contains("pipefold"))
        .map(str::to_owned)
        .collect()
}
