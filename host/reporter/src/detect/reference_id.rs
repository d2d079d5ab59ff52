//! The name of a run that no other run in the world has.

use sha2::{Digest, Sha256};

use super::job::Job;
use super::system::Found;
use super::values::{self, MAX_BYTES};

/// `<system>/<host or organisation>/<repository or pipeline>/<run>[/<attempt>]`: the same in every job of a run, and another one when it is
/// run again, for DX never takes a failure back. None if the system does not name the run.
pub fn reference_id(job: &Job<'_>, run: Option<&Found>, attempt: Option<&Found>, url: Option<&Found>) -> Option<Found> {
    let system = job.system;
    let host = job.first(system.host, values::host).map(|host| host.value);
    // What the system counts in is a name, also one with an `@` in it: nothing but an address is cleaned as one.
    let scope = job.first(system.scope, values::name).map(|scope| scope.value);
    let (parts, variable) = match (run, url) {
        (Some(run), _) if scope.is_some() || is_uuid(&run.value) => {
            let parts = host.into_iter().chain(scope).chain([run.value.clone()]);
            (parts.collect::<Vec<_>>().join("/"), run.variable)
        }
        (_, Some(url)) => {
            job.warn(format!(
                "{} does not say which run this is; it is named after {}, under which other jobs of the run may not meet it (set \
                 PIPEFOLD_REFERENCE_ID)",
                system.name, url.variable
            ));
            (values::host(&url.value).ok()?, url.variable)
        }
        _ => return None,
    };
    let attempt = attempt.map_or(String::new(), |attempt| format!("/{}", attempt.value));
    Some(Found {
        value: shortened(format!("{}/{parts}{attempt}", system.id)),
        variable,
    })
}

/// Whether the run's own name is the only one of its kind in the world (RFC 9562).
fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let is_hex = |group: &&str| group.bytes().all(|byte| byte.is_ascii_hexdigit());
    groups.iter().all(is_hex) && groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
}

/// A name that is too long for a field keeps its beginning; a digest stands for the whole.
fn shortened(id: String) -> String {
    /// A slash and the digest's digits.
    const DIGEST: usize = 1 + 64;
    if id.len() <= MAX_BYTES {
        return id;
    }
    let kept = id.floor_char_boundary(MAX_BYTES - DIGEST);
    let digest = Sha256::digest(id.as_bytes());
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}/{digits}", id.get(..kept).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_stays_within_the_limit_and_its_own() {
        let long = |end: &str| shortened(format!("github/{}/{end}", "é".repeat(3000)));
        assert!(long("1").len() <= MAX_BYTES && long("1").len() > MAX_BYTES - 4);
        assert_ne!(long("1"), long("2"));
        assert_eq!(shortened("github/x/1".into()), "github/x/1");
    }
}
