//! The variables that pipefold reads, beside one for each field of the run ([`crate::detect::Field::variable`]).

use pipefold_sandbox::foreign;

use super::{Environment, nearest};
use crate::detect::Field;

pub use crate::detect::{ATTRIBUTES_VARIABLE as ATTRIBUTES, GOCD_SERVER_ID};

/// Address of the DX instance.
pub const DX_API_URL: &str = "DX_API_URL";
/// The token itself.
pub const DX_API_TOKEN: &str = "DX_API_TOKEN";
/// A file that holds the token.
pub const TOKEN_FILE: &str = "PIPEFOLD_TOKEN_FILE";
/// A file of certificates, in PEM, to trust beside the system's.
pub const CA_FILE: &str = "PIPEFOLD_CA_FILE";
/// Directory of the spool.
pub const SPOOL: &str = "PIPEFOLD_SPOOL";
/// The time without activity after which a run without an end is ended as cancelled: an age such as `7d`.
pub const ABANDON_AFTER: &str = "PIPEFOLD_ABANDON_AFTER";
/// The jobs of a run to send: `all`, `failed` or `none`.
pub const JOBS: &str = "PIPEFOLD_JOBS";
/// The most jobs of one run to send.
pub const MOST_JOBS: &str = "PIPEFOLD_MOST_JOBS";
/// `true` if a fault in reporting fails the command, else `false`.
pub const STRICT: &str = "PIPEFOLD_STRICT";
/// `true` if a run outside CI is reported, else `false`.
pub const LOCAL: &str = "PIPEFOLD_LOCAL";
/// Address of the GoCD server to read.
pub const GOCD_URL: &str = "PIPEFOLD_GOCD_URL";
/// The part of its run that a job inside GoCD reports: `run` or `facts`.
pub const GOCD_IN_JOB: &str = "PIPEFOLD_GOCD_IN_JOB";
/// The password for a GoCD server.
pub const GOCD_PASSWORD: &str = "GOCD_PASSWORD";
/// An access token for a GoCD server.
pub const GOCD_ACCESS_TOKEN: &str = "GOCD_ACCESS_TOKEN";
/// Address of the queue that reporting ends in.
pub const QUEUE: &str = "PIPEFOLD_QUEUE";
/// Template for the name of the pipeline.
pub const PIPELINE_NAME_TEMPLATE: &str = "PIPEFOLD_PIPELINE_NAME_TEMPLATE";
/// Template for the name of the run.
pub const REFERENCE_ID_TEMPLATE: &str = "PIPEFOLD_REFERENCE_ID_TEMPLATE";
/// Policies, with commas between them, as `--policy` names each.
pub const POLICY: &str = "PIPEFOLD_POLICY";
/// Directory of compiled policies.
pub const POLICY_CACHE: &str = "PIPEFOLD_POLICY_CACHE";
/// The operator's file of settings.
pub const CONFIG: &str = "PIPEFOLD_CONFIG";
/// The beginning of the variables with the secrets of sources: `PIPEFOLD_SOURCE_SECRET_GITHUB` for the source `github`.
pub const SOURCE_SECRET: &str = "PIPEFOLD_SOURCE_SECRET_";
/// Set by `exec` for its child: an `exec` of this run is already under way and delivers for it.
pub const OUTER: &str = "PIPEFOLD_OUTER";
/// Set by `exec` for its child: the token's digest that the run's notifications are recorded for.
pub const DESTINATION: &str = "PIPEFOLD_DESTINATION";

/// Returns the variable with the secrets of a source, one a line.
#[must_use]
pub fn source_secret(name: &str) -> String {
    format!("{SOURCE_SECRET}{}", name.to_ascii_uppercase().replace(['-', '.'], "_"))
}

/// The prefix of pipefold's own variables.
const PREFIX: &str = "PIPEFOLD_";

/// All variables of pipefold's own.
fn known() -> impl Iterator<Item = &'static str> + Clone {
    let others = [
        TOKEN_FILE,
        CA_FILE,
        SPOOL,
        ABANDON_AFTER,
        JOBS,
        MOST_JOBS,
        ATTRIBUTES,
        STRICT,
        LOCAL,
        GOCD_SERVER_ID,
        GOCD_URL,
        GOCD_IN_JOB,
        QUEUE,
        POLICY,
        POLICY_CACHE,
        CONFIG,
        PIPELINE_NAME_TEMPLATE,
        REFERENCE_ID_TEMPLATE,
        OUTER,
        DESTINATION,
    ];
    Field::ALL.into_iter().map(Field::variable).chain(others)
}

/// One line for each variable that looks meant for pipefold and has no effect. Values are never shown: a misnamed one may be the token.
#[must_use]
pub fn warnings(environment: &Environment) -> Vec<String> {
    let unknown = environment
        .names(PREFIX)
        .filter(|name| !known().any(|known| known == *name) && !name.starts_with(SOURCE_SECRET))
        .map(|name| {
            let hint = nearest(name, known()).map_or_else(
                || format!("; pipefold reads {}", known().collect::<Vec<_>>().join(", ")),
                |near| format!("; did you mean {near}?"),
            );
            format!(
                "{} is not a variable of pipefold and has no effect{hint}",
                foreign::excerpt(name)
            )
        });
    // A path may be any bytes, so these are read as they are; policies that cannot be read are an error elsewhere.
    let paths = [TOKEN_FILE, CA_FILE, SPOOL, POLICY, POLICY_CACHE, CONFIG, DX_API_TOKEN];
    let not_text = environment
        .not_utf8()
        .filter(|name| (known().any(|known| known == *name) || *name == DX_API_URL) && !paths.contains(name))
        .map(|name| format!("{name} is not UTF-8 and was ignored; set it to UTF-8 text"));
    unknown.chain(not_text).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn known_and_foreign_variables_give_no_warning() {
        let names = known().chain(["DX_API_URL", "DX_API_TOKEN", "PIPEFOLDER", "pipefold_spool"]);
        assert_eq!(
            warnings(&Environment::from_pairs(names.map(|name| (name, "x")))),
            [""; 0]
        );
    }

    #[test]
    fn a_misspelt_variable_gets_the_nearest_name() {
        let environment = Environment::from_pairs([("PIPEFOLD_REPOSITRY", "s3cret")]);
        insta::assert_snapshot!(
            warnings(&environment).join("\n"),
            @"PIPEFOLD_REPOSITRY is not a variable of pipefold and has no effect; did you mean PIPEFOLD_REPOSITORY?"
        );
    }

    #[test]
    fn an_unknown_variable_gets_the_list_and_its_value_stays_secret() {
        let warning = warnings(&Environment::from_pairs([("PIPEFOLD_XYZZY", "s3cret")])).join("\n");
        assert!(warning.contains("pipefold reads PIPEFOLD_PIPELINE_NAME, "), "{warning}");
        assert!(!warning.contains("s3cret"));
    }

    #[cfg(unix)]
    #[test]
    fn fields_have_to_be_utf8_and_paths_need_not() {
        use std::os::unix::ffi::OsStringExt;
        let bytes = || std::ffi::OsString::from_vec(b"\xff".to_vec());
        let names = ["PIPEFOLD_EMAIL", "PIPEFOLD_SPOOL", "DX_API_URL", "DX_API_TOKEN", "HOME"];
        let environment = Environment::from_pairs(names.map(|name| (name, bytes())));
        insta::assert_snapshot!(warnings(&environment).join("\n"), @r"
        DX_API_URL is not UTF-8 and was ignored; set it to UTF-8 text
        PIPEFOLD_EMAIL is not UTF-8 and was ignored; set it to UTF-8 text
        ");
    }
}
