//! Random requests.

use super::*;
use ::base64::Engine as _;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

/// HMAC-SHA256 as RFC 2104 defines it, so that the tests do not use the code that they test.
pub(super) fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; 64];
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new()
        .chain_update(block.map(|byte| byte ^ 0x36))
        .chain_update(message);
    let outer = Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c));
    outer.chain_update(inner.finalize()).finalize().into()
}

pub(super) fn base64(bytes: &[u8]) -> String {
    ::base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Signs a body at a time.
fn sign(scheme: Scheme, key: &[u8], at: i64, body: &[u8]) -> Signed {
    let whole = |begin: String| hmac(key, &[begin.as_bytes(), body].concat());
    let plain = hex(&whole(String::new()));
    let time = at.to_string();
    let proof = match scheme {
        Scheme::HubSignature256 => vec![("x-hub-signature-256", format!("sha256={plain}"))],
        Scheme::HubSignature => vec![("x-hub-signature", format!("sha256={plain}"))],
        Scheme::Gitea => vec![("x-gitea-signature", plain)],
        Scheme::Forgejo => vec![("x-forgejo-signature", plain)],
        Scheme::Circleci => vec![("circleci-signature", format!("v1={plain}"))],
        Scheme::StandardWebhooks | Scheme::Gitlab => {
            let signature = base64(&whole(format!("id.{time}.")));
            vec![
                ("webhook-id", "id".to_owned()),
                ("webhook-timestamp", time),
                ("webhook-signature", format!("v1,{signature}")),
            ]
        }
        Scheme::Buildkite => {
            let signature = hex(&whole(format!("{time}.")));
            vec![(
                "x-buildkite-signature",
                format!("signature={signature}, timestamp={time}"),
            )]
        }
        _ => unreachable!("not in the list below"),
    };
    Signed {
        scheme,
        secret: "",
        proof,
        body: body.to_vec(),
        at: Some(at),
    }
}

fn scheme() -> impl Strategy<Value = Scheme> {
    proptest::sample::select(vec![
        Scheme::HubSignature256,
        Scheme::HubSignature,
        Scheme::Gitea,
        Scheme::Forgejo,
        Scheme::Circleci,
        Scheme::StandardWebhooks,
        Scheme::Gitlab,
        Scheme::Buildkite,
    ])
}

/// Returns the text of a key as it is configured.
fn configured(scheme: Scheme, key: &str) -> String {
    match scheme {
        Scheme::StandardWebhooks | Scheme::Gitlab => format!("whsec_{}", base64(key.as_bytes())),
        _ => key.to_owned(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_signed_fits_and_nothing_else(
        scheme in scheme(),
        key in "[!-~]{1,100}",
        other_key in "[!-~]{1,100}",
        at in 0_i64..4_000_000_000,
        body in proptest::collection::vec(any::<u8>(), 0..200),
        other_body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let signed = sign(scheme, key.as_bytes(), at, &body);
        let secret = configured(scheme, &key);
        prop_assert_eq!(signed.check_with(&[&secret], at), Ok(()));
        if key != other_key {
            let why = signed.check_with(&[&configured(scheme, &other_key)], at).unwrap_err();
            prop_assert!(matches!(why, BadSignature::Wrong(_)), "{}", why);
        }
        let other = Signed { body: other_body.clone(), ..signed };
        prop_assert_eq!(other.check_with(&[&secret], at).is_ok(), body == other_body);
    }

    #[test]
    fn random_headers_are_refused_in_one_short_line(
        scheme in proptest::sample::select(Scheme::ALL.map(|known| known.1).to_vec()),
        values in proptest::collection::vec((0_usize..12, random_value()), 0..8),
    ) {
        const NAMES: [&str; 12] = [
            "X-Hub-Signature-256", "X-Hub-Signature", "X-Gitea-Signature", "X-Forgejo-Signature", "X-Gitlab-Token", "webhook-signature",
            "webhook-id", "webhook-timestamp", "circleci-signature", "X-Buildkite-Signature", "Signature", "Authorization",
        ];
        let secret = match scheme {
            Scheme::Basic => "user:open-sesame",
            Scheme::StandardWebhooks => "whsec_b3Blbi1zZXNhbWU=",
            _ => "open-sesame",
        };
        let proof = values.into_iter().map(|(name, value)| (NAMES[name], value)).collect();
        let signed = Signed { scheme, secret, proof, body: b"{}".to_vec(), at: None };
        match signed.check() {
            Ok(()) => prop_assert_eq!(scheme, Scheme::None),
            Err(why) => {
                let line = why.to_string();
                prop_assert!(line.len() < 160 && !line.contains('\n'), "{}", line);
                prop_assert!(!line.contains("sesame") && !line.contains("b3Bl"), "{}", line);
            }
        }
    }
}

/// A value of a header, often of the form of one of the schemes.
fn random_value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,100}",
        "(sha256=|v1=|v1,|)[0-9a-f]{62,66}",
        "v1,[A-Za-z0-9+/]{43}=",
        "timestamp=[0-9]{0,12},signature=[0-9a-f]{64}",
        "(Basic|Bearer) [A-Za-z0-9+/]{0,40}={0,2}",
        "(keyId|algorithm|headers|signature)=\"(hmac-sha256|date digest|[A-Za-z0-9]{43}=)\"(,| |)",
        "[0-9]{1,20}",
    ]
}
