//! `<materials>`, and its `<material>`.

use crate::documents::{Changeset, Material, MaterialKind};

use super::attributes::Attributes;
use super::element::Element;
use super::error::ReadError;
use super::scanner::Scanner;
use super::time::timestamp;

pub(super) fn materials(at: &mut Scanner<'_>, root: &Element<'_>) -> Result<Vec<Material>, ReadError> {
    let mut materials = Vec::new();
    while let Some(child) = at.child(root)? {
        match child.name() {
            "material" => material(at, &child, &mut materials)?,
            _ => at.skip(&child)?,
        }
    }
    Ok(materials)
}

/// Reads a material, or the ones within: dialect D has each in another `<material>`.
pub(super) fn material(at: &mut Scanner<'_>, root: &Element<'_>, into: &mut Vec<Material>) -> Result<(), ReadError> {
    let attributes = at.attributes(root)?;
    let mut changesets = Vec::new();
    let mut is_wrapper = false;
    while let Some(child) = at.child(root)? {
        match child.name() {
            "modifications" => {
                while let Some(change) = at.child(&child)? {
                    match change.name() {
                        "changeset" => changesets.push(changeset(at, &change)?),
                        _ => at.skip(&change)?,
                    }
                }
            }
            "material" => {
                is_wrapper = true;
                material(at, &child, into)?;
            }
            _ => at.skip(&child)?,
        }
    }
    if !is_wrapper {
        into.push(Material {
            uri: attributes.href("materialUri"),
            kind: kind(&attributes),
            changesets,
        });
    }
    Ok(())
}

fn kind(attributes: &Attributes<'_>) -> MaterialKind {
    let text = |name| attributes.text(name);
    let needed = |name| attributes.text(name).unwrap_or_default();
    match attributes.get("type").unwrap_or_default() {
        "GitMaterial" => MaterialKind::Git {
            url: needed("url"),
            branch: text("branch"),
            shallow_clone: attributes.flag("shallowClone"),
        },
        "HgMaterial" => MaterialKind::Mercurial { url: needed("url") },
        "SvnMaterial" => MaterialKind::Subversion {
            url: needed("url"),
            username: text("username"),
            check_externals: attributes.flag("checkExternals"),
        },
        "P4Material" => MaterialKind::Perforce {
            url: needed("url"),
            username: text("username"),
            view: text("view"),
        },
        "TfsMaterial" => MaterialKind::Tfs {
            url: needed("url"),
            username: text("username"),
            domain: text("domain"),
            project_path: text("projectPath"),
        },
        "DependencyMaterial" => MaterialKind::Dependency {
            pipeline: needed("pipelineName"),
            stage: needed("stageName"),
        },
        "PackageMaterial" => MaterialKind::Package {
            repository: needed("repositoryName"),
            package: needed("packageName"),
        },
        "PluggableSCMMaterial" => MaterialKind::PluggableScm {
            name: needed("scmName"),
        },
        other => MaterialKind::Other(other.to_owned()),
    }
}

fn changeset(at: &mut Scanner<'_>, root: &Element<'_>) -> Result<Changeset, ReadError> {
    let mut changeset = Changeset {
        uri: at.attributes(root)?.href("changesetUri"),
        ..Changeset::default()
    };
    while let Some(child) = at.child(root)? {
        match child.name() {
            "user" => changeset.user = at.line(&child)?,
            "checkinTime" => changeset.checked_in = at.text(&child)?.as_deref().and_then(timestamp),
            "revision" => changeset.revision = at.line(&child)?,
            "message" => changeset.message = at.long_text(&child)?,
            _ => at.skip(&child)?,
        }
    }
    Ok(changeset)
}
