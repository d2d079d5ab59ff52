//! The arguments of DX's call, as a server in DX's place receives them.

use std::fmt;

use pipefold_sandbox::Notification;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error, Visitor};

use super::senders::{status, time};

/// The names of DX's arguments of `pipelineRuns.upsert`, without the token.
pub const ARGUMENT_NAMES: [&str; 14] = [
    "pipeline_name",
    "pipeline_source",
    "reference_id",
    "started_at",
    "finished_at",
    "status",
    "repository",
    "commit_sha",
    "pr_number",
    "source_url",
    "head_branch",
    "email",
    "github_username",
    "gitlab_username",
];

/// The arguments of `pipelineRuns.upsert` as clients send them, unchecked: all optional, unknown ones ignored, null as if absent. A number
/// may be given as text, as shell scripts do, and a whole number where text belongs. Times may be unix times, and the status a result of Jenkins.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "each field is the argument of its name on DX's page")]
pub struct Arguments {
    #[serde(deserialize_with = "text")]
    pub pipeline_name: Option<String>,
    #[serde(deserialize_with = "text")]
    pub pipeline_source: Option<String>,
    #[serde(deserialize_with = "text")]
    pub reference_id: Option<String>,
    #[serde(deserialize_with = "time")]
    pub started_at: Option<String>,
    #[serde(deserialize_with = "time")]
    pub finished_at: Option<String>,
    #[serde(deserialize_with = "status")]
    pub status: Option<String>,
    #[serde(deserialize_with = "text")]
    pub repository: Option<String>,
    #[serde(deserialize_with = "text")]
    pub commit_sha: Option<String>,
    #[serde(deserialize_with = "number")]
    pub pr_number: Option<i64>,
    #[serde(deserialize_with = "text")]
    pub source_url: Option<String>,
    #[serde(deserialize_with = "text")]
    pub head_branch: Option<String>,
    #[serde(deserialize_with = "text")]
    pub email: Option<String>,
    #[serde(deserialize_with = "text")]
    pub github_username: Option<String>,
    #[serde(deserialize_with = "text")]
    pub gitlab_username: Option<String>,
}

impl Arguments {
    /// Reads a JSON body.
    ///
    /// # Errors
    ///
    /// A body that is not an object, or an argument that is neither text nor a whole number, with its position.
    pub fn from_json(body: &[u8]) -> Result<Self, serde_json::Error> {
        from_json(body)
    }
}

/// Reads arguments from a JSON object.
pub fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, serde_json::Error> {
    // Serde would read an array's elements as the arguments in their order.
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(serde_json::Error::custom("the JSON body is an array and not an object"));
    }
    serde_json::from_slice(body)
}

impl From<Arguments> for Notification {
    fn from(given: Arguments) -> Self {
        Self {
            pipeline_name: given.pipeline_name,
            pipeline_source: given.pipeline_source,
            reference_id: given.reference_id,
            started_at: given.started_at,
            finished_at: given.finished_at,
            status: given.status,
            repository: given.repository,
            commit_sha: given.commit_sha,
            pr_number: given.pr_number,
            source_url: given.source_url,
            head_branch: given.head_branch,
            email: given.email,
            github_username: given.github_username,
            gitlab_username: given.gitlab_username,
            ..Self::default()
        }
    }
}

/// One value, unchecked.
pub(super) enum Scalar {
    Absent,
    Text(String),
    Whole(i64),
    /// With a decimal point, such as `17.0`: a number as some tools write it, which has no certain text.
    Float(f64),
}

pub fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Scalar::deserialize(deserializer)? {
        Scalar::Absent => None,
        Scalar::Text(text) => Some(text),
        Scalar::Whole(number) => Some(number.to_string()),
        Scalar::Float(_) => return Err(D::Error::custom("expected text or a whole number")),
    })
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    match Scalar::deserialize(deserializer)? {
        Scalar::Absent => Ok(None),
        Scalar::Whole(number) => Ok(Some(number)),
        // Below 2^53 it is exact.
        Scalar::Float(number) if number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0 => {
            Ok(Some(number as i64))
        }
        Scalar::Float(_) => Err(D::Error::custom("expected a whole number")),
        // An empty variable in a script's template.
        Scalar::Text(text) if text.trim().is_empty() => Ok(None),
        Scalar::Text(text) => text
            .trim()
            .parse()
            .map(Some)
            .map_err(|_| D::Error::custom("expected a whole number")),
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text or a whole number")
    }

    fn visit_unit<E: Error>(self) -> Result<Scalar, E> {
        Ok(Scalar::Absent)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Scalar, E> {
        Ok(Scalar::Text(text))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar::Whole(number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Scalar, E> {
        Ok(Scalar::Float(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar, E> {
        i64::try_from(number)
            .map(Scalar::Whole)
            .map_err(|_| E::custom("the number is too large"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use pipefold_sandbox::Run;

    use super::*;

    fn parse(json: &str) -> Result<Arguments, serde_json::Error> {
        Arguments::from_json(json.as_bytes())
    }

    #[test]
    fn the_clients_body_is_read_back() {
        let notification = Notification {
            pipeline_name: Some("p".into()),
            pipeline_source: Some("s".into()),
            reference_id: Some("r".into()),
            started_at: Some("2025-01-01T12:05:00Z".into()),
            finished_at: Some("2025-01-01T12:10:00Z".into()),
            status: Some("failure".into()),
            repository: Some("o/r".into()),
            commit_sha: Some("abc".into()),
            pr_number: Some(7),
            source_url: Some("https://ci/1".into()),
            head_branch: Some("main".into()),
            email: Some("a@b.c".into()),
            github_username: Some("g".into()),
            gitlab_username: Some("l".into()),
            ..Notification::default()
        };
        let run: Run = serde_json::from_value(serde_json::to_value(&notification).unwrap()).unwrap();
        let arguments = Arguments::from_json(&crate::dx::body(&run)).unwrap();
        assert_eq!(Notification::from(arguments), notification);
    }

    #[test]
    fn every_listed_name_is_read() {
        for name in ARGUMENT_NAMES {
            assert!(parse(&format!(r#"{{"{name}":{{}}}}"#)).is_err(), "{name}");
        }
    }

    #[test]
    fn lenient_where_clients_differ() {
        assert_eq!(parse("{}").unwrap(), Arguments::default());
        let given =
            parse(r#"{"pr_number":"12 ","reference_id":345,"email":null,"other":"x","more":{"a":[1]}}"#).unwrap();
        assert_eq!(
            (given.pr_number, given.reference_id.as_deref(), given.email),
            (Some(12), Some("345"), None)
        );
        assert_eq!(parse(r#"{"pr_number":""}"#).unwrap().pr_number, None);
        assert_eq!(parse(r#"{"pr_number":17.0}"#).unwrap().pr_number, Some(17));
        let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(
            parse(&deep).unwrap(),
            Arguments::default(),
            "passed over without recursion"
        );
        assert_eq!(
            parse(r#"{"pr_number":-1}"#).unwrap().pr_number,
            Some(-1),
            "judged later, with its field's name"
        );
    }

    #[test]
    fn strict_where_a_guess_would_be_wrong() {
        for json in [
            "[]",
            r#" ["p","s"]"#,
            "null",
            "",
            r#"{"head_branch":1.10}"#,
            r#"{"email":true}"#,
            r#"{"email":["a"]}"#,
            r#"{"pr_number":"x"}"#,
            r#"{"pr_number":1.5}"#,
            r#"{"pr_number":1e300}"#,
            r#"{"reference_id":17.0}"#,
            r#"{"pr_number":99999999999999999999}"#,
            r#"{"email":"a","email":"b"}"#,
        ] {
            assert!(parse(json).is_err(), "{json}");
        }
    }
}
