//! Tokens, their file, and rates.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use crate::access::{
    Access, FailureKey, Rate, RateLimit, Refusal, Rights, Secret, TOKENS_FILE, TokenFile, TokenName, Tokens,
    TokensError,
};
use chrono::DateTime;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

fn name(text: &str) -> TokenName {
    text.parse().unwrap()
}

fn reader(glob: &str) -> Access {
    Access::new(Rights::Read, vec![glob.parse().unwrap()])
}

fn add(file: &TokenFile, text: &str, access: Access) -> Secret {
    file.add(name(text), access, DateTime::UNIX_EPOCH).unwrap()
}

fn content(dir: &Path) -> String {
    std::fs::read_to_string(dir.join(TOKENS_FILE)).unwrap()
}

#[test]
fn a_token_works_until_it_is_revoked_while_the_server_runs() {
    let dir = tempfile::tempdir().unwrap();
    let file = TokenFile::of(dir.path());
    let server = Tokens::open(file.clone()).unwrap();
    assert!(server.is_empty().unwrap());

    let (web, api) = (
        add(&file, "web", reader("web-*")),
        add(&file, "api", Access::everything()),
    );
    assert!(!server.is_empty().unwrap());
    let known = server.identify(&web).unwrap();
    assert_eq!(
        (
            known.name.as_str(),
            known.access.may_see("web-1"),
            known.access.may_write("web-1")
        ),
        ("web", true, false)
    );
    assert_eq!(server.identify_named("api", &api).unwrap().name, name("api"));
    assert!(
        matches!(server.identify_named("web", &api), Err(Refusal::Unknown)),
        "another's name"
    );
    for guess in ["", "web", "pft_", &web.reveal()[1..], &web.reveal().to_uppercase()] {
        assert!(
            matches!(server.identify(&Secret::shown(guess.to_owned())), Err(Refusal::Unknown)),
            "{guess}"
        );
    }

    file.revoke(&name("web")).unwrap();
    assert!(matches!(server.identify(&web), Err(Refusal::Unknown)));
    assert!(!server.has(&name("web")).unwrap() && server.has(&name("api")).unwrap());
    assert!(server.identify(&api).is_ok());
}

#[test]
fn only_the_hash_is_stored_and_only_for_us() {
    let dir = tempfile::tempdir().unwrap();
    let file = TokenFile::of(dir.path());
    let secret = add(&file, "web", reader("*"));
    let text = content(dir.path());
    assert!(!text.contains(&secret.reveal()[4..]), "{text}");
    assert!(text.contains(&String::from(secret.hash())), "{text}");
    assert!(
        !format!("{file:?} {:?} {:?}", file.list().unwrap(), Tokens::open(file.clone()))
            .contains(&secret.reveal()[4..])
    );
    let mode = std::fs::metadata(dir.path().join(TOKENS_FILE))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn names_are_unique_and_must_exist_to_be_revoked() {
    let dir = tempfile::tempdir().unwrap();
    let file = TokenFile::of(dir.path());
    add(&file, "b", reader("*"));
    add(&file, "a", reader("*"));
    let before = content(dir.path());
    let again = file.add(name("a"), reader("*"), DateTime::UNIX_EPOCH).unwrap_err();
    assert!(matches!(again, TokensError::Exists(_)) && again.to_string().contains("named a already"));
    assert!(matches!(file.revoke(&name("c")), Err(TokensError::Unknown(_))));
    assert_eq!(content(dir.path()), before);
    let names: Vec<_> = file.list().unwrap().into_iter().map(|token| token.name).collect();
    assert_eq!(names, [name("a"), name("b")]);
    for bad in ["", "a:b", "a b", "é", "a/b", &"x".repeat(65)] {
        assert!(bad.parse::<TokenName>().is_err(), "{bad}");
    }
}

#[test]
fn a_damaged_file_lets_no_one_in_and_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let file = TokenFile::of(dir.path());
    let secret = add(&file, "web", Access::everything());
    let server = Tokens::open(file.clone()).unwrap();
    let good = content(dir.path());
    for bad in ["", "{", r#"{"tokens":[{"name":"x y"}]}"#, &good[..good.len() / 2]] {
        std::fs::write(dir.path().join(TOKENS_FILE), bad).unwrap();
        assert!(
            matches!(
                server.identify(&secret),
                Err(Refusal::Tokens(TokensError::Damaged { .. }))
            ),
            "{bad}"
        );
        let add = file.add(name("new"), Access::everything(), DateTime::UNIX_EPOCH);
        assert!(matches!(add, Err(TokensError::Damaged { .. })), "{bad}");
        assert_eq!(content(dir.path()), bad);
    }
    std::fs::write(dir.path().join(TOKENS_FILE), &good).unwrap();
    assert!(server.identify(&secret).is_ok(), "it recovers");
}

#[test]
fn a_file_that_others_may_write_to_is_not_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let file = TokenFile::of(dir.path());
    let secret = add(&file, "web", Access::everything());
    let server = Tokens::open(file).unwrap();
    let path = dir.path().join(TOKENS_FILE);
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o620)).unwrap();
    assert!(matches!(
        server.identify(&secret),
        Err(Refusal::Tokens(TokensError::NotOurs(_)))
    ));
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    assert!(server.identify(&secret).is_ok());
}

#[test]
fn changes_at_the_same_time_are_all_kept() {
    let dir = tempfile::tempdir().unwrap();
    let file = TokenFile::of(dir.path());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let file = &file;
            scope.spawn(move || {
                for n in 0..5 {
                    add(file, &format!("t{thread}-{n}"), reader("*"));
                }
            });
        }
    });
    assert_eq!(file.list().unwrap().len(), 20);
}

const RATE: Rate = Rate {
    burst: 3,
    per_second: 2.0,
};

#[test]
fn a_burst_then_the_rate() {
    let limit = RateLimit::new(RATE, 10);
    let begin = Instant::now();
    let at = |ms| begin + Duration::from_millis(ms);
    for _ in 0..3 {
        assert_eq!(limit.take(&"a", at(0)), Ok(()));
    }
    assert_eq!(limit.take(&"a", at(0)), Err(Duration::from_millis(500)));
    assert_eq!(limit.take(&"b", at(0)), Ok(()), "each key has its own");
    assert_eq!(
        limit.take(&"a", at(250)),
        Err(Duration::from_millis(250)),
        "a refusal costs nothing"
    );
    assert_eq!(limit.take(&"a", at(500)), Ok(()));
    assert!(limit.take(&"a", at(500)).is_err());
    for _ in 0..3 {
        assert_eq!(limit.take(&"a", at(1_000_000)), Ok(()));
    }
    assert!(limit.take(&"a", at(1_000_000)).is_err(), "never more than the burst");
    assert!(limit.take(&"a", at(0)).is_err(), "an earlier moment gains nothing");
}

#[test]
fn a_peek_counts_nothing() {
    let limit = RateLimit::new(RATE, 10);
    let now = Instant::now();
    for _ in 0..10 {
        assert_eq!(limit.peek(&1, now), Ok(()));
    }
    for _ in 0..3 {
        limit.take(&1, now).unwrap();
    }
    assert!(limit.peek(&1, now).is_err());
}

#[test]
fn memory_is_bounded_and_the_quietest_is_forgotten() {
    let limit = RateLimit::new(RATE, 2);
    let begin = Instant::now();
    for (ms, key) in [(0, "old"), (1, "new"), (1, "new"), (1, "new"), (2, "third")] {
        limit.take(&key, begin + Duration::from_millis(ms)).unwrap();
    }
    assert!(limit.peek(&"new", begin).is_err(), "it was not the quietest");
    assert!(format!("{limit:?}").matches("Bucket").count() <= 2, "{limit:?}");
}

#[test]
fn a_rate_of_never_waits_for_ever() {
    let limit = RateLimit::new(
        Rate {
            burst: 0,
            per_second: 0.0,
        },
        0,
    );
    let now = Instant::now();
    assert_eq!(limit.take(&1, now), Ok(()));
    assert_eq!(limit.take(&1, now), Err(Duration::MAX));
}

#[test]
fn an_attacker_has_one_key_however_many_addresses() {
    let key = |text: &str| FailureKey::from(text.parse::<IpAddr>().unwrap());
    assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff:ffff:ffff:ffff"));
    assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
    assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
    assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
}
