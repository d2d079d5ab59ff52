//! Configured secrets.

use super::super::{MAX_SECRET, SecretError};
use super::*;

fn make(scheme: Scheme, text: &str) -> Result<Secret, SecretError> {
    Secret::new(scheme, &SecretString::from(text))
}

#[test]
fn names_are_found_and_unique() {
    for (name, scheme) in Scheme::ALL {
        assert_eq!((Scheme::from_name(name), scheme.name()), (Some(scheme), name));
    }
    for other in ["", "github", "None", "NONE", "hub-signature-25", "hub_signature"] {
        assert_eq!(Scheme::from_name(other), None, "{other}");
    }
}

#[test]
fn secrets_that_everybody_knows_or_that_cannot_fit_are_refused() {
    let long = "x".repeat(MAX_SECRET + 1);
    for (name, scheme) in Scheme::ALL {
        for (text, why) in [
            ("", SecretError::Empty),
            ("\n", SecretError::Empty),
            (" \t\r\n", SecretError::Empty),
            (&long, SecretError::TooLong),
            ("one\ntwo", SecretError::Lines),
            ("one\0", SecretError::Lines),
        ] {
            assert_eq!(make(scheme, text).unwrap_err(), why, "{name}: {text:?}");
        }
    }
    for text in ["user", "user:", "user password"] {
        assert_eq!(
            make(Scheme::Basic, text).unwrap_err(),
            SecretError::NoPassword,
            "{text}"
        );
    }
    assert!(make(Scheme::Basic, ":password").is_ok(), "Azure DevOps needs no user");
    for text in ["whsec_", "whsec_*", "sesame!", "whsec_YWJ", "WHSEC_YWJj"] {
        assert_eq!(
            make(Scheme::StandardWebhooks, text).unwrap_err(),
            SecretError::NoKey,
            "{text}"
        );
    }
    assert_eq!(make(Scheme::Gitlab, "whsec_*").unwrap_err(), SecretError::NoKey);
    assert!(make(Scheme::Gitlab, "a token!").is_ok());
    for why in [
        SecretError::Empty,
        SecretError::TooLong,
        SecretError::Lines,
        SecretError::NoPassword,
        SecretError::NoKey,
    ] {
        assert!(why.to_string().len() < 160, "{why}");
    }
}

#[test]
fn line_ends_of_files_are_no_part_of_a_secret() {
    let (_, github) = &super::vendors::all()[0];
    let with_line_end = format!("{}\r\n", github.secret);
    assert_eq!(github.check_with(&[&with_line_end], 0), Ok(()));
    let with_space = format!("{} ", github.secret);
    assert!(
        github.check_with(&[&with_space], 0).is_err(),
        "a space is a part of a secret"
    );
}

#[test]
fn nothing_shows_it() {
    let shown = format!("{:?}", make(Scheme::Token, "sesame").unwrap());
    assert_eq!(shown, "Secret(…)");
}
