//! The digest of a chain of policies, to which a record is bound.

use crate::{
    built_in_policy,
    grants::{Access, Directory, Grants},
    policy::{Mode, OnFailure, Policy, PolicyComponent},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{fmt, os::unix::ffi::OsStrExt, str::FromStr};

/// The name and version of the digest's form.
const MARK: &str = "pipefold chain 1";

/// A digest of policies in their order: of each the component, grants, directory, settings and [`OnFailure`]. Names, limits and keys of
/// signatures are not part of it, nor are monitored policies. Displayed as 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainDigest([u8; 32]);

/// A text that is not a [`ChainDigest`].
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no digest of a chain of policies, which has 64 hexadecimal digits")]
pub struct ChainDigestError(String);

impl ChainDigest {
    /// The digest of no policies.
    pub const EMPTY: Self = Self([0; 32]);

    /// The digest of policies that are not loaded, outermost first. Their files are read, and nothing is compiled.
    ///
    /// A file that cannot be read counts by its path and pin, so that a chain with such a policy equals no other one and never the empty one.
    #[must_use]
    pub fn of<'a>(policies: impl IntoIterator<Item = (&'a Policy, &'a PolicyComponent)>) -> Self {
        Self::join(
            policies
                .into_iter()
                .filter(|(policy, _)| policy.mode == Mode::Enforce)
                .map(|(policy, component)| match component {
                    PolicyComponent::BuiltIn => digest(policy, built_in_policy::IDENTITY),
                    PolicyComponent::File(file) => match file.name_digest(policy.limits.component_size) {
                        Ok(component) => digest(policy, component.as_bytes()),
                        Err(_) => {
                            let mut name = b"unreadable".to_vec();
                            name.extend_from_slice(file.path().as_os_str().as_bytes());
                            name.extend_from_slice(file.pin().unwrap_or_default().as_bytes());
                            digest(policy, &name)
                        }
                    },
                }),
        )
    }

    /// Joins the digests of links.
    pub(crate) fn join(links: impl IntoIterator<Item = blake3::Hash>) -> Self {
        let mut links = links.into_iter().peekable();
        if links.peek().is_none() {
            return Self::EMPTY;
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(MARK.as_bytes());
        for link in links {
            hasher.update(link.as_bytes());
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// Returns true if there are no policies.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::EMPTY
    }
}

impl Default for ChainDigest {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl fmt::Display for ChainDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl FromStr for ChainDigest {
    type Err = ChainDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hash = blake3::Hash::from_hex(text).map_err(|_| ChainDigestError(text.chars().take(100).collect()))?;
        Ok(Self(*hash.as_bytes()))
    }
}

impl Serialize for ChainDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ChainDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// The digest of one policy whose component is identified by these bytes.
pub fn digest(policy: &Policy, component: &[u8]) -> blake3::Hash {
    let mut parts = PartHasher(blake3::Hasher::new());
    parts.add(component);
    let Grants { config, wasi, .. } = &policy.grants;
    let granted: Vec<&str> = policy.grants.names().collect();
    parts.add(granted.join(" ").as_bytes());
    for (key, value) in config.iter().flat_map(|table| table.iter()) {
        parts.add(key.as_bytes());
        parts.add(value.as_bytes());
    }
    if let Some(directory) = wasi.as_ref().and_then(|wasi| wasi.directory.as_ref()) {
        parts.directory(directory);
    }
    parts.add(match policy.on_failure {
        OnFailure::Closed => b"closed",
        OnFailure::Open => b"open",
    });
    parts.0.finalize()
}

/// Digests parts, each after its length, so that no two lists of parts are hashed alike.
struct PartHasher(blake3::Hasher);

impl PartHasher {
    fn add(&mut self, part: &[u8]) {
        self.0.update(&(part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    fn directory(&mut self, directory: &Directory) {
        self.add(directory.path().as_os_str().as_bytes());
        self.add(match directory.access() {
            Access::ReadOnly => b"read",
            Access::ReadWrite => b"write",
        });
    }
}
