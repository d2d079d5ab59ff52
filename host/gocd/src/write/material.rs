//! `<materials>`.

use super::markup::Markup;
use crate::Dialect;
use crate::address::Href;
use crate::documents::{Changeset, Material, MaterialKind};

/// Writes materials. Dialect D has each within another `<material>`, and no more than one change of it.
pub(super) fn materials(markup: &mut Markup, materials: &[Material], dialect: Dialect) {
    markup.open("materials", &[]);
    for material in materials {
        if dialect == Dialect::D {
            markup.open("material", &[]);
        }
        let flag = |flag: Option<bool>| flag.map(|flag| if flag { "true" } else { "false" });
        let (kind, of_kind) = match &material.kind {
            MaterialKind::Git {
                url,
                branch,
                shallow_clone,
            } => (
                "GitMaterial",
                [
                    ("url", Some(url.as_str())),
                    ("branch", branch.as_deref()),
                    ("shallowClone", flag(*shallow_clone)),
                    NONE,
                ],
            ),
            MaterialKind::Mercurial { url } => ("HgMaterial", [("url", Some(url.as_str())), NONE, NONE, NONE]),
            MaterialKind::Subversion {
                url,
                username,
                check_externals,
            } => (
                "SvnMaterial",
                [
                    ("url", Some(url.as_str())),
                    ("username", username.as_deref()),
                    ("checkExternals", flag(*check_externals)),
                    NONE,
                ],
            ),
            MaterialKind::Perforce { url, username, view } => (
                "P4Material",
                [
                    ("url", Some(url.as_str())),
                    ("username", username.as_deref()),
                    ("view", view.as_deref()),
                    NONE,
                ],
            ),
            MaterialKind::Tfs {
                url,
                username,
                domain,
                project_path,
            } => (
                "TfsMaterial",
                [
                    ("url", Some(url.as_str())),
                    ("username", username.as_deref()),
                    ("domain", domain.as_deref()),
                    ("projectPath", project_path.as_deref()),
                ],
            ),
            MaterialKind::Dependency { pipeline, stage } => (
                "DependencyMaterial",
                [
                    ("pipelineName", Some(pipeline.as_str())),
                    ("stageName", Some(stage.as_str())),
                    NONE,
                    NONE,
                ],
            ),
            MaterialKind::Package { repository, package } => (
                "PackageMaterial",
                [
                    ("repositoryName", Some(repository.as_str())),
                    ("packageName", Some(package.as_str())),
                    NONE,
                    NONE,
                ],
            ),
            MaterialKind::PluggableScm { name } => (
                "PluggableSCMMaterial",
                [("scmName", Some(name.as_str())), NONE, NONE, NONE],
            ),
            MaterialKind::Other(kind) => (kind.as_str(), [NONE; 4]),
        };
        let mut attributes = vec![
            ("materialUri", material.uri.as_ref().map(Href::as_str)),
            ("type", Some(kind)),
        ];
        attributes.extend(of_kind);
        markup.open("material", &attributes);
        markup.open("modifications", &[]);
        let kept = if dialect == Dialect::D {
            1
        } else {
            material.changesets.len()
        };
        for change in material.changesets.iter().take(kept) {
            changeset(markup, change, &material.kind, dialect);
        }
        markup.close();
        markup.close();
        if dialect == Dialect::D {
            markup.close();
        }
    }
    markup.close();
}

const NONE: (&str, Option<&str>) = ("", None);

fn changeset(markup: &mut Markup, change: &Changeset, kind: &MaterialKind, dialect: Dialect) {
    let is_dependency = matches!(kind, MaterialKind::Dependency { .. });
    let uri = change
        .uri
        .as_ref()
        .map(Href::as_str)
        .filter(|_| dialect == Dialect::C || is_dependency);
    markup.open("changeset", &[("changesetUri", uri)]);
    let is_package = matches!(kind, MaterialKind::Package { .. });
    markup.cdata("user", &[], change.user.as_deref());
    if !is_package {
        markup.time("checkinTime", change.checked_in, dialect);
    }
    if is_dependency {
        markup.text("revision", change.revision.as_deref());
    } else {
        markup.cdata("revision", &[], change.revision.as_deref());
    }
    markup.cdata("message", &[], change.message.as_deref());
    if is_package {
        markup.time("checkinTime", change.checked_in, dialect);
    }
    markup.close();
}
