//! The true revisions of a run, from the JSON document "pipeline instance" of GoCD's API.

use chrono::DateTime;
use serde::Deserialize;

use crate::documents::{Changeset, Material, MaterialKind};

/// The part of the document that matters. Everything else in it is passed over.
#[derive(Deserialize)]
struct Instance {
    build_cause: BuildCause,
}

#[derive(Deserialize)]
struct BuildCause {
    material_revisions: Vec<MaterialRevision>,
}

#[derive(Deserialize)]
struct MaterialRevision {
    material: MaterialOf,
    #[serde(default)]
    modifications: Vec<Modification>,
}

#[derive(Deserialize)]
struct MaterialOf {
    #[serde(rename = "type")]
    kind: String,
    /// For people, and the only place that has a repository's address: `URL: https://host/owner/name, Branch: main`.
    #[serde(default)]
    description: Option<String>,
}

#[derive(Deserialize)]
struct Modification {
    #[serde(default)]
    revision: Option<String>,
    #[serde(default)]
    user_name: Option<String>,
    #[serde(default)]
    comment: Option<String>,
    /// Milliseconds since 1970.
    #[serde(default)]
    modified_time: Option<i64>,
}

/// The materials with the revisions that the run used, the used one first.
pub(super) fn materials(json: &[u8]) -> Result<Vec<Material>, serde_json::Error> {
    let instance: Instance = serde_json::from_slice(json)?;
    Ok(instance
        .build_cause
        .material_revisions
        .into_iter()
        .map(material)
        .collect())
}

fn material(given: MaterialRevision) -> Material {
    let description = given.material.description.unwrap_or_default();
    let kind = match given.material.kind.as_str() {
        "Git" | "GitMaterial" => git(&description),
        "Pipeline" | "DependencyMaterial" => MaterialKind::Dependency {
            pipeline: description,
            stage: String::new(),
        },
        "Package" | "PackageMaterial" => MaterialKind::Package {
            repository: String::new(),
            package: description,
        },
        "Mercurial" | "HgMaterial" => MaterialKind::Mercurial { url: description },
        other => MaterialKind::Other(other.to_owned()),
    };
    Material {
        uri: None,
        kind,
        changesets: given.modifications.into_iter().map(changeset).collect(),
    }
}

fn git(description: &str) -> MaterialKind {
    let address = description.strip_prefix("URL: ").unwrap_or(description);
    let (url, branch) = match address.rsplit_once(", Branch: ") {
        // Some versions name a sub-module after it.
        Some((url, branch)) => (url, branch.split(", ").next().map(str::to_owned)),
        None => (address, None),
    };
    MaterialKind::Git {
        url: url.to_owned(),
        branch,
        shallow_clone: None,
    }
}

fn changeset(given: Modification) -> Changeset {
    Changeset {
        uri: None,
        user: given.user_name,
        checked_in: given
            .modified_time
            .and_then(DateTime::from_timestamp_millis)
            .map(|time| time.fixed_offset()),
        revision: given.revision,
        message: given.comment,
    }
}
