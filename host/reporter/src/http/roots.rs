//! The authorities whose certificates are trusted.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use rustls_native_certs::load_native_certs;
use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

use super::error::ClientError;

/// The largest file of authorities read; Mozilla's whole list has 220 KB.
const MAX_CA_FILE: u64 = 4 * 1024 * 1024;

/// The usual places of the one file with all of the system's authorities: Debian and Alpine, Fedora, openSUSE, the BSDs.
#[cfg(all(unix, not(target_os = "macos")))]
const BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
#[cfg(not(all(unix, not(target_os = "macos"))))]
const BUNDLES: &[&str] = &[];

/// The extent of the search for the system's authorities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// Only the one file that has all of them on a usual system: 0.5 ms.
    Quick,
    /// Also each file of the system's directory, to which an administrator may have added one: three to ten times as long.
    Full,
}

/// Authorities to trust.
#[derive(Clone)]
pub struct Roots {
    pub certs: RootCerts,
    /// False if a fuller search could find more.
    pub complete: bool,
}

/// The system's authorities and those in `ca_file`. The bundled list is used if there are none at all; a `ca_file` on a system without
/// authorities is used alone.
///
/// # Errors
///
/// [`ClientError::CaFile`] if the file cannot be read or has no certificate.
pub fn load(ca_file: Option<&Path>, search: Search) -> Result<Roots, ClientError> {
    let (mut certs, complete) = system(search);
    if let Some(path) = ca_file {
        certs.extend(read_ca_file(path)?);
    }
    let certs = if certs.is_empty() {
        RootCerts::WebPki
    } else {
        RootCerts::from(certs)
    };
    Ok(Roots { certs, complete })
}

fn system(search: Search) -> (Vec<Certificate<'static>>, bool) {
    if search == Search::Quick {
        let named = |variable| std::env::var_os(variable).filter(|value| !value.is_empty());
        let places = bundles(named("SSL_CERT_FILE"), named("SSL_CERT_DIR").is_some());
        let bundle = places
            .iter()
            .find_map(|path| read_bounded(path).ok())
            .unwrap_or_default();
        let certs: Vec<_> = certificates(&bundle).collect();
        if !certs.is_empty() {
            return (certs, false);
        }
    }
    let certs = load_native_certs()
        .certs
        .iter()
        .map(|cert| Certificate::from_der(cert).to_owned())
        .collect();
    (certs, true)
}

/// The possible places of the one file. The variables name the only places to trust, as they do for OpenSSL; the full search follows them
/// too.
fn bundles(cert_file: Option<OsString>, has_cert_dir: bool) -> Vec<PathBuf> {
    match cert_file {
        Some(file) => vec![file.into()],
        None if has_cert_dir => Vec::new(),
        None => BUNDLES.iter().map(PathBuf::from).collect(),
    }
}

fn read_ca_file(path: &Path) -> Result<Vec<Certificate<'static>>, ClientError> {
    let wrong = |why: String| ClientError::CaFile {
        path: path.to_owned(),
        why,
    };
    let pem = read_bounded(path).map_err(wrong)?;
    let certs: Vec<_> = certificates(&pem).collect();
    if certs.is_empty() {
        Err(wrong("it has no certificate in PEM form".to_owned()))
    } else {
        Ok(certs)
    }
}

/// Checks that the file exists, without the cost of reading it.
///
/// # Errors
///
/// [`ClientError::CaFile`] if there is none.
pub fn check_ca_file(path: &PathBuf) -> Result<(), ClientError> {
    let wrong = |why: String| ClientError::CaFile {
        path: path.clone(),
        why,
    };
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Err(wrong("it is a directory".to_owned())),
        Ok(_) => Ok(()),
        Err(why) => Err(wrong(why.to_string())),
    }
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, String> {
    let mut pem = Vec::new();
    let file = File::open(path).map_err(|why| why.to_string())?;
    file.take(MAX_CA_FILE + 1)
        .read_to_end(&mut pem)
        .map_err(|why| why.to_string())?;
    if pem.len() as u64 > MAX_CA_FILE {
        return Err(format!("it has more than {MAX_CA_FILE} bytes"));
    }
    Ok(pem)
}

/// The certificates in a text of PEM; keys and damaged parts are skipped.
fn certificates(pem: &[u8]) -> impl Iterator<Item = Certificate<'static>> {
    parse_pem(pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn a_full_search_finds_no_less_than_a_quick_one() {
        let count = |roots: &Roots| match &roots.certs {
            RootCerts::Specific(certs) => certs.len(),
            _ => 0,
        };
        let (quick, full) = (load(None, Search::Quick).unwrap(), load(None, Search::Full).unwrap());
        assert!(full.complete && count(&full) >= count(&quick));
    }

    #[test]
    fn variables_name_the_only_places() {
        assert_eq!(bundles(Some("/a".into()), false), [PathBuf::from("/a")]);
        assert_eq!(bundles(Some("/a".into()), true), [PathBuf::from("/a")]);
        assert!(bundles(None, true).is_empty());
        assert_eq!(bundles(None, false).len(), BUNDLES.len());
    }

    #[test]
    fn a_ca_file_adds_to_the_system() {
        let dx = dx_standin::Standin::start_tls();
        let count = |ca_file: Option<&Path>| match load(ca_file, Search::Full).unwrap().certs {
            RootCerts::Specific(certs) => certs.len(),
            _ => 0,
        };
        assert_eq!(count(Some(dx.ca_file())), count(None) + 1);
    }

    #[test]
    fn a_ca_file_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        let dx = dx_standin::Standin::start_tls();
        let padding = |length: u64| "\n".repeat(usize::try_from(length).unwrap() - dx.ca_pem().len());
        std::fs::write(&path, dx.ca_pem().to_owned() + &padding(MAX_CA_FILE)).unwrap();
        assert_eq!(read_ca_file(&path).unwrap().len(), 1);
        std::fs::write(&path, dx.ca_pem().to_owned() + &padding(MAX_CA_FILE + 1)).unwrap();
        assert!(read_ca_file(&path).unwrap_err().to_string().contains("more than"));
    }
}
