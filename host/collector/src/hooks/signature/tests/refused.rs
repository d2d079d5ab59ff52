//! Requests that only look like signed ones.

use super::properties::{base64, hmac};
use super::vendors::all;
use super::*;

/// Returns the same request with another value of one header.
fn with(signed: &Signed, at: usize, value: Vec<u8>) -> Option<Signed> {
    let value = String::from_utf8(value).ok()?;
    HeaderValue::from_bytes(value.as_bytes()).ok()?;
    let mut other = signed.clone();
    (other.proof[at].1 != value).then(|| {
        other.proof[at].1 = value;
        other
    })
}

/// Returns true for a byte that nothing signs: the name of the key, which a source has no use for.
fn is_key_id(value: &str, at: usize) -> bool {
    let begin = value.find("keyId=\"").map(|begin| begin + "keyId=\"".len());
    begin.is_some_and(|begin| (begin..begin + "hmac-key".len()).contains(&at))
}

#[test]
fn every_flipped_byte_is_refused() {
    for (from, signed) in all() {
        for at in (0..signed.body.len()).filter(|_| signed.covers_body()) {
            for bit in 0..8 {
                let mut other = signed.clone();
                other.body[at] ^= 1 << bit;
                assert!(other.check().is_err(), "{from}: {other:?}");
            }
        }
        for header in 0..signed.proof.len() {
            let value = &signed.proof[header].1;
            for at in (0..value.len()).filter(|at| !is_key_id(value, *at)) {
                let mut flipped = value.as_bytes().to_vec();
                flipped[at] ^= 1;
                let Some(other) = with(&signed, header, flipped) else {
                    continue;
                };
                assert!(other.check().is_err(), "{from}: {other:?}");
            }
        }
    }
}

#[test]
fn truncated_longer_and_upper_case_ones_are_refused() {
    for (from, signed) in all() {
        for header in 0..signed.proof.len() {
            let (name, value) = &signed.proof[header];
            let cut = (0..value.len()).map(|length| value.as_bytes()[..length].to_vec());
            let longer = ["0", "=", ",", ".", "00", "A"].map(|end| format!("{value}{end}").into_bytes());
            let before = ["0", "="].map(|begin| format!("{begin}{value}").into_bytes());
            let upper = [value.to_uppercase().into_bytes()];
            for other in cut.chain(longer).chain(before).chain(upper) {
                let Some(other) = with(&signed, header, other) else {
                    continue;
                };
                // A comma behind a list of versions is an empty one, and Buildkite's list has the same form.
                let (_, shown) = &other.proof[header];
                if shown.strip_suffix(',') == Some(value)
                    && ["circleci-signature", "X-Buildkite-Signature"].contains(name)
                {
                    continue;
                }
                assert!(other.check().is_err(), "{from}: {other:?}");
            }
        }
        let mut longer = signed.clone();
        longer.body.push(b'\n');
        assert_eq!(longer.check().is_err(), signed.covers_body(), "{from}");
    }
}

#[test]
fn missing_and_doubled_headers_are_named() {
    for (from, signed) in all() {
        for at in 0..signed.proof.len() {
            let name = signed.proof[at].0;
            let mut missing = signed.clone();
            missing.proof.remove(at);
            let why = missing.check().unwrap_err();
            let expected = match (signed.scheme, name) {
                (Scheme::Forgejo, _) => BadSignature::Missing("X-Gitea-Signature"),
                (Scheme::Gitlab, "webhook-signature") => BadSignature::Missing("X-Gitlab-Token"),
                (Scheme::Buildkite, _) => BadSignature::Missing("X-Buildkite-Token"),
                (Scheme::Drone, "Date" | "Digest") => BadSignature::Covered,
                _ => BadSignature::Missing(name),
            };
            assert_eq!(why, expected, "{from}");

            let mut doubled = signed.clone();
            doubled.proof.push(doubled.proof[at].clone());
            let expected = match name {
                "Date" | "Digest" => BadSignature::Covered,
                _ => BadSignature::Doubled(name),
            };
            assert_eq!(doubled.check(), Err(expected.clone()), "{from}");
            // Nor does another value hide behind a good one, or before it.
            doubled.proof.last_mut().unwrap().1 = "x".to_owned();
            assert_eq!(doubled.check(), Err(expected.clone()), "{from}");
            doubled.proof.rotate_right(1);
            assert_eq!(doubled.check(), Err(expected), "{from}");
        }
    }
}

#[test]
fn either_of_two_secrets_fits_and_no_third() {
    for (from, signed) in all() {
        let other = match signed.scheme {
            Scheme::Basic => "Aladdin:another",
            Scheme::StandardWebhooks | Scheme::Gitlab => "whsec_dGVzdHRlc3R0ZXN0dGVzdHRlc3R0ZXN0dGVzdHRlc3Q=",
            _ => "another",
        };
        let now = signed.at.unwrap_or_default();
        for both in [[signed.secret, other], [other, signed.secret]] {
            assert_eq!(signed.check_with(&both, now), Ok(()), "{from}: {signed:?}");
        }
        let why = signed.check_with(&[other], now).unwrap_err();
        assert!(matches!(why, BadSignature::Wrong(_)), "{from}: {why}");
        assert!(signed.check_with(&[], now).is_err(), "{from}");
    }
}

#[test]
fn a_replay_is_refused_where_a_time_is_signed() {
    for (from, signed) in all() {
        let Some(at) = signed.at else {
            // The delivery folds into the run that it is about.
            assert_eq!(signed.check_with(&[signed.secret], 4_000_000_000), Ok(()), "{from}");
            continue;
        };
        let check = |now| signed.check_with(&[signed.secret], now);
        assert_eq!((check(at + MOST), check(at - MOST)), (Ok(()), Ok(())), "{from}");
        let (age, most) = (MOST.unsigned_abs() + 1, MOST.unsigned_abs());
        assert_eq!(check(at + MOST + 1), Err(BadSignature::TooOld { age, most }), "{from}");
        let ahead = age;
        assert_eq!(
            check(at - MOST - 1),
            Err(BadSignature::TooNew { ahead, most }),
            "{from}"
        );
        // A forged one is wrong, whatever its age.
        let mut forged = signed.clone();
        forged.body.push(b' ');
        let why = forged.check_with(&[forged.secret], at + 10 * MOST).unwrap_err();
        assert!(matches!(why, BadSignature::Wrong(_)), "{from}: {why}");
    }
}

#[test]
fn times_are_plain_digits() {
    let standard = all()
        .into_iter()
        .find(|(_, signed)| signed.scheme == Scheme::StandardWebhooks)
        .unwrap()
        .1;
    for time in [
        "",
        "+1614265330",
        "-1",
        "1614265330.0",
        "0x10",
        "99999999999999999999",
        "١٦١٤",
    ] {
        let other = with(&standard, 1, time.as_bytes().to_vec()).unwrap();
        assert_eq!(
            other.check(),
            Err(BadSignature::Malformed("webhook-timestamp")),
            "{time}"
        );
    }
}

#[test]
fn drone_must_sign_date_and_digest() {
    let drone = all()
        .into_iter()
        .find(|(_, signed)| signed.scheme == Scheme::Drone)
        .unwrap()
        .1;
    let sign = |drone: &Signed, headers: &str, algorithm: &str| {
        let line = |name: &str| {
            let value = drone.proof.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            format!("{}: {}", name.to_lowercase(), value.unwrap().1)
        };
        let lines: Vec<_> = headers.split(' ').map(line).collect();
        let mac = hmac(b"webhook-secret", lines.join("\n").as_bytes());
        let signature = base64(&mac);
        let value =
            format!(r#"keyId="hmac-key", algorithm="{algorithm}" ,headers="{headers}",signature="{signature}""#);
        with(drone, 0, value.into_bytes()).unwrap().check()
    };
    assert_eq!(sign(&drone, "Digest date", "hmac-sha256"), Ok(()));
    let uncovered = |name| Err(BadSignature::Uncovered(name));
    assert_eq!(sign(&drone, "digest", "hmac-sha256"), uncovered("Date"));
    assert_eq!(sign(&drone, "date", "hmac-sha256"), uncovered("Digest"));
    let malformed = Err(BadSignature::Malformed("Signature"));
    for algorithm in ["hmac-sha1", "rsa-sha256", "hs2019", ""] {
        assert_eq!(sign(&drone, "date digest", algorithm), malformed, "{algorithm}");
    }
    assert_eq!(sign(&drone, &vec!["date"; 1000].join(" "), "hmac-sha256"), malformed);

    let good = drone.proof[2].1.clone();
    for digest in [format!("MD5=AAAA,{good}"), good.replace("SHA", "sha")] {
        let drone = with(&drone, 2, digest.into_bytes()).unwrap();
        assert_eq!(sign(&drone, "date digest", "hmac-sha256"), Ok(()));
    }
    for digest in [
        "MD5=AAAA",
        "SHA-512=AAAA",
        "SHA-256=AAAA",
        "",
        &format!("{good},{good}"),
    ] {
        let drone = with(&drone, 2, digest.as_bytes().to_vec()).unwrap();
        let why = sign(&drone, "date digest", "hmac-sha256");
        assert_eq!(why, Err(BadSignature::Malformed("Digest")), "{digest}");
    }
}

#[test]
fn gitlab_needs_the_signature_where_there_is_one() {
    let signed = all()
        .into_iter()
        .find(|(_, signed)| signed.scheme == Scheme::Gitlab)
        .unwrap()
        .1;
    let at = signed.at.unwrap();
    let mut both = signed.clone();
    both.proof.push(("X-Gitlab-Token", "plain".to_owned()));
    assert_eq!(
        both.check_with(&[signed.secret], at),
        Ok(()),
        "the token may be another"
    );
    assert_eq!(
        both.check_with(&["plain"], at),
        Err(BadSignature::NoKey("webhook-signature")),
        "no way around the signature by the token"
    );
    let stripped = Signed {
        proof: both.proof.split_off(3),
        ..signed
    };
    assert_eq!(stripped.check_with(&["plain"], at), Ok(()));
    assert_eq!(
        stripped.check_with(&[stripped.secret], at),
        Err(BadSignature::Wrong("X-Gitlab-Token"))
    );
}
