//! How the GoCD server knows us: by what was said nearest, flag before variable before file.

use pipefold::config::{Environment, GocdServerKeys, variables};
use pipefold_gocd::client::{Credentials, Secret, SecretError};

use crate::args::ReadArgs;
use crate::commands::trouble::Trouble;
use std::path::Path;

/// The credentials that were given, or none.
pub(super) fn credentials(
    read: &ReadArgs,
    environment: &Environment,
    server: Option<&GocdServerKeys>,
) -> Result<Credentials, Trouble> {
    let keys = |key: fn(&GocdServerKeys) -> Option<&Path>| server.and_then(key);
    if let Some(file) = &read.access_token_file {
        return Ok(Credentials::Bearer(from_file(file)?));
    }
    let user = read
        .user
        .as_deref()
        .or_else(|| server.and_then(|server| server.user.as_deref()));
    let password = match &read.password_file {
        Some(file) => Some(from_file(file)?),
        None => from_variable(environment, variables::GOCD_PASSWORD)?,
    };
    let by_flag = read.user.is_some() || read.password_file.is_some();
    if !by_flag && let Some(token) = from_variable(environment, variables::GOCD_ACCESS_TOKEN)? {
        return Ok(Credentials::Bearer(token));
    }
    let of_the_file = |file: Option<&Path>| file.map(from_file).transpose();
    match (user, password) {
        (Some(user), Some(password)) => Ok(basic(user, password)),
        (None, Some(_)) => Err(Trouble::input(
            "there is a password for GoCD and no user: give --user, or take GOCD_PASSWORD away".into(),
        )),
        _ if !by_flag && keys(|server| server.access_token_file.as_deref()).is_some() => {
            let token = of_the_file(keys(|server| server.access_token_file.as_deref()))?;
            Ok(token.map_or(Credentials::None, Credentials::Bearer))
        }
        (Some(user), None) => match of_the_file(keys(|server| server.password_file.as_deref()))? {
            Some(password) => Ok(basic(user, password)),
            None => Err(Trouble::input(
                "there is a user for GoCD and no password: give it by GOCD_PASSWORD or --password-file".into(),
            )),
        },
        (None, None) => Ok(Credentials::None),
    }
}

fn basic(user: &str, password: Secret) -> Credentials {
    Credentials::Basic {
        user: user.to_owned(),
        password,
    }
}

fn from_file(file: &Path) -> Result<Secret, Trouble> {
    let (secret, readable_by_others) = Secret::from_file(file).map_err(wrong)?;
    if readable_by_others {
        tracing::info!(path = %file.display(), "the file of the secret for GoCD can be read by other users");
    }
    Ok(secret)
}

fn from_variable(environment: &Environment, name: &'static str) -> Result<Option<Secret>, Trouble> {
    match environment.get(name) {
        Some(text) => Secret::new(text.to_owned())
            .map(Some)
            .map_err(|error| Trouble::input(format!("{name}: {error}"))),
        None if environment.get_os(name).is_some() => Err(Trouble::input(format!("{name} is not UTF-8: correct it"))),
        None => Ok(None),
    }
}

fn wrong(error: SecretError) -> Trouble {
    Trouble::input(error.to_string())
}
