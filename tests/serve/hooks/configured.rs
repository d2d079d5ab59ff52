//! The configuration of sources: what is refused at the start, and what changes while the server runs.

use std::os::unix::fs::PermissionsExt;

use super::place::{Delivery, Place, SECRET, hmac, job, run, stored};

/// The message of a collector that does not start with this file of settings.
fn refusal(place: &Place, config: &str, arguments: &[String]) -> String {
    let config = place.write("pipefold.toml", config.as_bytes());
    let all = [&["--config".to_owned(), config], arguments].concat();
    let ended = place.try_serve(&all).err().unwrap();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(!ended.log.contains(SECRET), "{}", ended.log);
    let line = ended.log.lines().last().unwrap_or_default().to_owned();
    line.replace(&place.path().display().to_string(), "DIR")
}

#[test]
fn faults_are_named_with_their_remedy() {
    let place = Place::new();
    place.write("empty", b"\n");
    let open = place.write("open", SECRET.as_bytes());
    std::fs::set_permissions(&open, PermissionsExt::from_mode(0o606)).unwrap();
    let with_secret = |rest: &str| format!("[[source]]\nname = \"a\"\nsecret_file = \"secret\"\n{rest}\n");
    let cases = [
        (
            "[[source]]\nname = \"githb\"\nsecret_file = \"secret\"\n".to_owned(),
            "there is no built-in source `githb`; did you mean `github`?",
        ),
        (
            with_secret("use = \"gitlb\""),
            "there is no built-in source `gitlb`; did you mean `gitlab`?",
        ),
        (
            with_secret("use = \"github\"\nscheme = \"hmac\""),
            "there is no scheme `hmac`",
        ),
        (
            "[[source]]\nname = \"github\"\n".to_owned(),
            "source github: it has no secret: put the one of the webhook into PIPEFOLD_SOURCE_SECRET_GITHUB, or into a file",
        ),
        (
            "[[source]]\nname = \"github\"\nsecret_file = \"none\"\n".to_owned(),
            "source github: could not read the file DIR/none",
        ),
        (
            "[[source]]\nname = \"github\"\nsecret_file = \"empty\"\n".to_owned(),
            "source github: DIR/empty has no secret",
        ),
        (
            "[[source]]\nname = \"github\"\nsecret_file = \"open\"\n".to_owned(),
            "source github: the file DIR/open may be written to by every user",
        ),
        (
            with_secret("use = \"teamcity\""),
            "source a: DIR/secret, line 1: the scheme `basic` needs a secret of the form `user:password`",
        ),
        (
            with_secret("use = \"github\"\nscheme = \"none\""),
            "checks nothing: leave out one of them",
        ),
        (
            with_secret("file = \"none.wasm\""),
            "source a: cannot read DIR/none.wasm",
        ),
        (
            with_secret("use = \"github\"\nlimits = { hook = \"1s\" }"),
            "`limits` are for a component of your own",
        ),
        (
            [with_secret("use = \"github\""), with_secret("use = \"gitlab\"")].concat(),
            "source a is given twice",
        ),
        (
            "[[source]]\nname = \"a/b\"\nuse = \"github\"\n".to_owned(),
            "a source's name has 1 to 40 of the characters",
        ),
    ];
    for (config, expected) in cases {
        let why = refusal(&place, &config, &[]);
        assert!(why.contains(expected), "{config}\n{why}");
    }
    let flags = |flags: &[&str]| flags.iter().map(|flag| (*flag).to_owned()).collect::<Vec<_>>();
    let why = refusal(
        &place,
        "",
        &flags(&["--source", "github", "--source-secret-file", "gitlab=x"]),
    );
    assert!(
        why.contains("there is no source `gitlab`; add --source gitlab"),
        "{why}"
    );
    let why = refusal(&place, "", &flags(&["--source", "ours"]));
    assert!(why.contains("--source ours=FILE.wasm"), "{why}");
    let why = refusal(
        &place,
        "",
        &flags(&["--source", "github", "--source-secret-file", "secret"]),
    );
    assert!(why.contains("takes NAME=FILE"), "{why}");
}

#[test]
fn without_a_proof_a_source_is_for_this_machine_alone() {
    let place = Place::new();
    let config = "[[source]]\nname = \"github\"\nscheme = \"none\"\n";
    let why = refusal(&place, config, &["--behind-proxy".into()]);
    assert!(why.contains("can be reached from other machines"), "{why}");
    let config = place.write("pipefold.toml", config.as_bytes());
    let collector = place.try_serve(&["--config".into(), config]).unwrap();
    let mut client = collector.client();
    let delivery = run(1, "requested", None);
    let mut send = |headers: &[(&str, &str)]| {
        delivery
            .send_with(&mut client, "/hooks/github", headers)
            .unwrap()
            .status
    };
    // A proxy passed it on, or a page of another site in a browser on this machine sent it.
    assert_eq!(send(&[("X-Forwarded-For", "192.0.2.1")]), 403);
    assert_eq!(send(&[("Origin", "https://example.com")]), 403);
    assert_eq!(send(&[]), 200);
}

#[test]
fn a_secret_is_replaced_while_the_server_runs() {
    let place = Place::new();
    let collector = place.serve(&[]);
    let mut client = collector.client();
    let delivery = run(1, "requested", None);
    let mut with = |secret: &str| {
        let signature = format!("sha256={}", hmac(secret, &delivery.body));
        let headers = [("X-Hub-Signature-256", &*signature)];
        delivery
            .send_with(&mut client, "/hooks/github", &headers)
            .unwrap()
            .status
    };
    assert_eq!((with(SECRET), with("new sesame")), (200, 401));
    place.write("secret", format!("new sesame\n{SECRET}\n").as_bytes());
    assert_eq!((with(SECRET), with("new sesame")), (200, 200));
    place.write("secret", b"new sesame\n");
    assert_eq!((with(SECRET), with("new sesame")), (401, 200));
    // No secret is a fault of the server: the CI system sends again.
    place.write("secret", b"\n");
    assert_eq!((with(SECRET), with("new sesame")), (503, 503));
    place.write("secret", b"new sesame\n");
    assert_eq!(with("new sesame"), 200);
}

#[test]
fn several_sources_may_be_of_one_system() {
    let place = Place::new();
    let second = place.write("second", b"second sesame");
    let config =
        format!("[[source]]\nname = \"github-2\"\nuse = \"github\"\nscheme = \"token\"\nsecret_file = {second:?}\n");
    let config = place.write("pipefold.toml", config.as_bytes());
    let collector = place.serve(&["--config".into(), config]);
    let mut client = collector.client();
    assert_eq!(run(1, "requested", None).send(&mut client).unwrap().status, 200);
    let bearer = [("Authorization", "Bearer second sesame")];
    let delivery: Delivery = job(1, "build", Some("success"));
    assert_eq!(
        delivery
            .send_with(&mut client, "/hooks/github-2", &bearer)
            .unwrap()
            .status,
        200
    );
    assert_eq!(
        delivery
            .send_with(&mut client, "/hooks/github", &bearer)
            .unwrap()
            .status,
        401
    );
    assert_eq!(stored(&collector, 1).unwrap()["jobs"][0]["name"], "build");
}
