//! Where a redirection leads.

use pipefold::http::Origin;

use super::credentials::Credentials;
use super::source::FetchError;
use crate::address::{Href, Resource};

/// What a redirection of `asked` leads to. Of the `Location` only the path counts, and only that of one kind: a C server redirects a
/// stage's run by name to the one by id, and names itself as it pleases (`http://localhost:8153/go/api/stages/80.xml`).
pub fn target(asked: &Resource, location: Option<&str>) -> Option<Resource> {
    match (asked, Href::new(location?)?.resource()) {
        (Resource::StageByName(_), Some(stage @ Resource::StageById(_))) => Some(stage),
        _ => None,
    }
}

/// The error that every other redirection of `url` is: nothing but a document of the feeds is asked for.
pub(super) fn refusal(
    asked: Option<&Resource>,
    url: &str,
    location: Option<&str>,
    credentials: &Credentials,
) -> FetchError {
    let href = location.and_then(Href::new);
    // Not the whole location: a path or a query may have secrets.
    let origin = href.as_ref().and_then(|href| Origin::of(href.as_str()));
    let place = origin.map_or_else(
        || "another page".to_owned(),
        |origin| credentials.quote(&origin.to_string()),
    );
    let is_the_same = asked.is_some() && href.as_ref().and_then(Href::resource).as_ref() == asked;
    let advice = if is_the_same {
        "if that is the server, give it as the server's address"
    } else {
        "if that is for logging in, give credentials"
    };
    FetchError::Redirected(format!(
        "{url} is redirected to {place}, which was not followed: {advice}"
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::client::Secret;

    const URL: &str = "http://ci.example/go/x.xml";

    fn lead(asked: &Resource, location: Option<&str>) -> Result<Resource, String> {
        let secret = Credentials::Bearer(Secret::new("sesame".to_owned()).unwrap());
        target(asked, location).ok_or_else(|| refusal(Some(asked), URL, location, &secret).to_string())
    }

    #[test]
    fn only_a_stage_by_id_is_followed_on_whatever_host_it_is_said_to_be() {
        let asked = Resource::parse("/go/pipelines/p/1/s/1.xml").unwrap();
        for location in [
            "http://localhost:8153/go/api/stages/80.xml",
            "/go/api/stages/80.xml",
            "https://elsewhere.example/ci/go/api/stages/80.xml",
        ] {
            assert_eq!(lead(&asked, Some(location)), Ok(Resource::StageById(80)), "{location}");
        }
        for location in [
            None,
            Some(""),
            Some("/go/auth/login"),
            Some("//evil.example/go/api/stages/80.xml"),
            Some("http://ci.example/go/api/jobs/80.xml"),
            Some("/go/api/stages/80"),
            Some("/go/api/stages/-1.xml"),
            Some("\0"),
        ] {
            let why = lead(&asked, location).unwrap_err();
            assert!(
                why.contains(URL) && why.contains("was not followed"),
                "{location:?}: {why}"
            );
        }
        let job = Resource::JobById(1);
        assert!(
            lead(&job, Some("/go/api/stages/80.xml")).is_err(),
            "servers do this for stages only"
        );
    }

    #[test]
    fn another_address_of_the_same_server_is_named_and_secrets_are_not() {
        let asked = Resource::parse("/go/api/pipelines.xml").unwrap();
        let why = lead(&asked, Some("https://user:pw@ci.example/go/api/pipelines.xml")).unwrap_err();
        assert!(
            why.contains("to https://ci.example,") && why.contains("as the server's address"),
            "{why}"
        );
        assert!(!why.contains("pw"), "{why}");
        let why = lead(&asked, Some("https://sso.example/login?back=sesame&x=sesame")).unwrap_err();
        assert!(
            why.contains("to https://sso.example,") && why.contains("logging in"),
            "{why}"
        );
        let why = lead(&asked, Some("https://sesame.example/")).unwrap_err();
        assert!(!why.contains("sesame"), "{why}");
    }
}
