//! The examples of the vendors' documentation, and requests of the same form where a vendor has no example that fits together.

use super::super::draft;
use super::*;

const GITHUB: &str = "https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries";
const BITBUCKET: &str = "https://support.atlassian.com/bitbucket-cloud/docs/manage-webhooks";
const CIRCLECI: &str = "https://circleci.com/docs/guides/integration/outbound-webhooks";
const STANDARD_WEBHOOKS: &str = "https://github.com/standard-webhooks/standard-webhooks/tree/main/libraries";
const RFC_7617: &str = "https://www.rfc-editor.org/rfc/rfc7617#section-2";
const RFC_6750: &str = "https://www.rfc-editor.org/rfc/rfc6750#section-2.1";
/// Made apart from this code, with `openssl dgst -sha256 -hmac` or Python's `hmac`.
const OPENSSL: &str = "openssl";

/// Every form of every scheme, with where it is from.
pub(super) fn all() -> Vec<(&'static str, Signed)> {
    let everybody = "It's a Secret to Everybody";
    let hello = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let circleci = |secret, body, hex: &str| {
        let header = format!("v1={hex}");
        Signed::new(Scheme::Circleci, secret, &[("circleci-signature", &header)], body)
    };
    let standard = |scheme, secret, id, at: i64, body, signature| {
        let time = at.to_string();
        let proof = [
            ("webhook-id", id),
            ("webhook-timestamp", time.as_str()),
            ("webhook-signature", signature),
        ];
        Signed::new(scheme, secret, &proof, body).at(at)
    };
    let rust = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
    let rust_body = r#"{"email":"test@example.com","username":"test_user"}"#;
    let rust_signature = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";
    let drone = |headers: &str, signature: &str| {
        let signature =
            format!(r#"keyId="hmac-key",algorithm="hmac-sha256",signature="{signature}",headers="{headers}""#);
        let proof = [
            ("Signature", signature.as_str()),
            ("Date", "Fri, 12 Nov 2021 23:33:47 GMT"),
            ("Digest", "SHA-256=vMd7dalbm7PQHtvIsc/2qmcNqU6CkUQs2V955TEjYyQ="),
        ];
        let body = r#"{"event":"build","action":"created"}"#;
        Signed::new(Scheme::Drone, "webhook-secret", &proof, body).at(1_636_760_027)
    };
    vec![
        (
            GITHUB,
            Signed::new(
                Scheme::HubSignature256,
                everybody,
                &[("X-Hub-Signature-256", &format!("sha256={hello}"))],
                "Hello, World!",
            ),
        ),
        (
            BITBUCKET,
            Signed::new(
                Scheme::HubSignature,
                everybody,
                &[(
                    "X-Hub-Signature",
                    "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9",
                )],
                "Hello World!",
            ),
        ),
        (
            OPENSSL,
            Signed::new(
                Scheme::Gitea,
                everybody,
                &[("X-Gitea-Signature", hello)],
                "Hello, World!",
            ),
        ),
        (
            OPENSSL,
            Signed::new(
                Scheme::Forgejo,
                everybody,
                &[("X-Forgejo-Signature", hello)],
                "Hello, World!",
            ),
        ),
        (
            OPENSSL,
            Signed::new(
                Scheme::Forgejo,
                everybody,
                &[("X-Gitea-Signature", hello)],
                "Hello, World!",
            ),
        ),
        (
            CIRCLECI,
            circleci(
                "secret",
                "hello world",
                "734cc62f32841568f45715aeb9f4d7891324e6d948e4c6c60c0621cdac48623a",
            ),
        ),
        (
            CIRCLECI,
            circleci(
                "another-secret",
                "lalala",
                "daa220016c8f29a8b214fbfc3671aeec2145cfb1e6790184ffb38b6d0425fa00",
            ),
        ),
        (
            CIRCLECI,
            circleci(
                "hunter123",
                "an-important-request-payload",
                "9be2242094a9a8c00c64306f382a7f9d691de910b4a266f67bd314ef18ac49fa",
            ),
        ),
        (
            STANDARD_WEBHOOKS,
            standard(
                Scheme::StandardWebhooks,
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                r#"{"test": 2432232314}"#,
                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            ),
        ),
        (
            STANDARD_WEBHOOKS,
            standard(
                Scheme::StandardWebhooks,
                "C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
                rust,
                1_649_367_553,
                rust_body,
                rust_signature,
            ),
        ),
        (
            STANDARD_WEBHOOKS,
            standard(
                Scheme::Gitlab,
                "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
                rust,
                1_649_367_553,
                rust_body,
                rust_signature,
            ),
        ),
        (
            "the token itself",
            Signed::new(
                Scheme::Gitlab,
                "tøken of GitLab",
                &[("X-Gitlab-Token", "tøken of GitLab")],
                "{}",
            ),
        ),
        (
            "the token itself",
            Signed::new(
                Scheme::Buildkite,
                "309c9c842g8565adecpd7469x6005989",
                &[("X-Buildkite-Token", "309c9c842g8565adecpd7469x6005989")],
                "{}",
            ),
        ),
        (
            OPENSSL,
            Signed::new(
                Scheme::Buildkite,
                "a-buildkite-token",
                &[(
                    "X-Buildkite-Signature",
                    "timestamp=1619071700,signature=3a780eecff2b0c1c7f58f517c83cbc5b9d33f800112dcc958b79f1ca17638df5",
                )],
                r#"{"event":"build.finished"}"#,
            )
            .at(1_619_071_700),
        ),
        (
            OPENSSL,
            drone("date digest", "TP9oSq0OMuWaCJr73UjCvY9Vm55kil1n6j3xXHFu0eQ="),
        ),
        (
            OPENSSL,
            drone(
                "(request-target) date digest",
                "c9ZM8Ey0uvoCtZoPnPwjSbrxA7vb+pHchdFavBpqE/o=",
            ),
        ),
        (
            RFC_7617,
            Signed::new(
                Scheme::Basic,
                "Aladdin:open sesame",
                &[("Authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")],
                "{}",
            ),
        ),
        (
            RFC_6750,
            Signed::new(
                Scheme::Token,
                "mF_9.B5f-4.1JqM",
                &[("Authorization", "Bearer mF_9.B5f-4.1JqM")],
                "{}",
            ),
        ),
    ]
}

#[test]
fn the_vendors_examples_fit() {
    let all = all();
    for (from, signed) in &all {
        assert_eq!(signed.check(), Ok(()), "{from}: {signed:?}");
    }
    for (name, scheme) in Scheme::ALL {
        let tested = all.iter().any(|(_, signed)| signed.scheme == scheme);
        assert!(tested || scheme == Scheme::None, "{name}");
    }
}

/// A request of a Drone server, from the scripts of another project, as <https://github.com/Diesel-Net/drone-discord> has it; its body is not kept there.
#[test]
fn a_signature_of_a_drone_server_fits() {
    let header = r#"keyId="hmac-key",algorithm="hmac-sha256",signature="nMQOWQSyloFPh3ZB8Uoh/D9QyzCtnVf0tk/jemJm058=",headers="date digest""#;
    let proof = [
        ("Signature", header),
        ("Date", "Fri, 12 Nov 2021 23:33:47 GMT"),
        ("Digest", "SHA-256=kCit1zUa+1aDpnZhDSBCa0iVYPTeF6k2jCjHwE2lnQY="),
    ];
    let signed = Signed::new(Scheme::Drone, "webhook-secret", &proof, "{}").at(1_636_760_027);
    let headers = signed.headers();
    let request = SignedRequest {
        method: &Method::POST,
        target: "/",
        headers: &headers,
        body: &signed.body,
        now: DateTime::from_timestamp(1_636_760_027, 0).unwrap(),
        max_age: Duration::ZERO,
    };
    let names = draft::check_headers(&[secret(Scheme::Drone, "webhook-secret")], &request);
    assert_eq!(names, Ok(vec!["date", "digest"]));
    assert_eq!(signed.check(), Err(BadSignature::Wrong("Digest")));
}

#[test]
fn several_versions_may_be_listed() {
    for (_, signed) in all() {
        let mut listed = signed.clone();
        let Some((name, value)) = listed.proof.iter_mut().find(|(name, _)| {
            [
                "circleci-signature",
                "webhook-signature",
                "Digest",
                "X-Buildkite-Signature",
            ]
            .contains(name)
        }) else {
            continue;
        };
        *value = match *name {
            "circleci-signature" => format!("v2=00,{value},v3=00"),
            "webhook-signature" => {
                let other = "Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=";
                format!("v1,{other} v2,{other} {value} v1a,hnO3f9T8 v1,{other}")
            }
            "X-Buildkite-Signature" => format!("{value},later=1"),
            // It is signed.
            _ => continue,
        };
        assert_eq!(listed.check(), Ok(()), "{listed:?}");
    }
}

/// Vendors sign the bytes that they send. A server that reads the JSON and writes it again for the comparison refuses this one.
#[test]
fn the_bytes_are_signed_and_not_the_json() {
    let body = "{ \"z\" : 1.0,\n\t\"a\":\"\\u00e9\\/\", \"a\": 1e2 ,\"id\":9007199254740993 }\r\n";
    let proof = [(
        "X-Hub-Signature-256",
        "sha256=5c3b89a9f03400ed0628b1f6e0a39733a5e9287a98a043ffb1bce8d3966338ac",
    )];
    let signed = Signed::new(Scheme::HubSignature256, "sesame", &proof, body);
    assert_eq!(signed.check(), Ok(()));

    let value: serde_json::Value = serde_json::from_str(body).unwrap();
    let written = [
        serde_json::to_string(&value).unwrap(),
        serde_json::to_string_pretty(&value).unwrap(),
        body.trim_end().to_owned(),
        body.replace('\r', ""),
    ];
    for body in written {
        let again = Signed {
            body: body.into_bytes(),
            ..signed.clone()
        };
        assert_eq!(
            again.check(),
            Err(BadSignature::Wrong("X-Hub-Signature-256")),
            "{again:?}"
        );
    }
}
