//! Servers that encrypt, and whose certificate is trusted or not.

use std::path::PathBuf;

use pipefold_tests::RUN;
use pipefold_tests::nats::Options;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;

use crate::place::Fleet;

/// An authority, and where its certificates are.
struct Authority {
    directory: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Another name, since a wrong signature under the same name would give another error.
    fn new(name: &str) -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        std::fs::write(directory.path().join("ca.pem"), certificate.pem()).unwrap();
        let issuer = Issuer::new(parameters, key);
        Self { directory, issuer }
    }

    fn file(&self) -> String {
        self.path("ca.pem").to_str().unwrap().to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A server's configuration, with a certificate for this name, and further lines.
    fn server(&self, name: &str, until: i32, more: &str) -> Options {
        let key = KeyPair::generate().unwrap();
        let mut certificate = CertificateParams::new(vec![name.to_owned()]).unwrap();
        certificate.not_after = date_time_ymd(until, 1, 1);
        let certificate = certificate.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.path("cert.pem"), certificate.pem()).unwrap();
        std::fs::write(self.path("key.pem"), key.serialize_pem()).unwrap();
        let (cert, key) = (self.path("cert.pem"), self.path("key.pem"));
        Options {
            configuration: format!(
                "tls {{ cert_file: \"{}\", key_file: \"{}\", {more} }}",
                cert.display(),
                key.display()
            ),
            ..Options::default()
        }
    }
}

fn encrypted(fleet: &Fleet) -> String {
    fleet.cluster.url().replace("nats://", "tls://")
}

#[test]
fn an_encrypted_queue_is_used_only_with_a_certificate_that_is_trusted() {
    let test = "an_encrypted_queue_is_used_only_with_a_certificate_that_is_trusted";
    let authority = Authority::new("ours");
    let Some(fleet) = Fleet::bare(test, &authority.server("127.0.0.1", 4000, "")) else {
        return;
    };
    let (url, trusted) = (encrypted(&fleet), authority.file());
    let queue = |arguments: &[&str]| fleet.pipefold(arguments).env("PIPEFOLD_QUEUE", &url).run();
    queue(&["queue", "init", "--replicas", "1", "--ca-file", &trusted]).assert_code(0);
    let command = format!("finish --status success --ca-file {trusted}");
    let output = fleet.report(RUN, &command).env("PIPEFOLD_QUEUE", &url).run();
    output.assert_code(0);
    assert_eq!(fleet.waiting(), 1, "{output}");
    let untrusted = fleet.report("run-2", "finish --status success");
    let untrusted = untrusted.env("PIPEFOLD_QUEUE", &url).run();
    untrusted.assert_code(0);
    assert!(untrusted.stderr().contains("--ca-file"), "{untrusted}");
    assert_eq!(fleet.waiting(), 1, "{untrusted}");
    // Nor does one that must encrypt send anything in the clear.
    let plain = Fleet::start(test).unwrap();
    let output = plain
        .report(RUN, &command)
        .env("PIPEFOLD_QUEUE", encrypted(&plain))
        .run();
    output.assert_code(0);
    assert_eq!(plain.waiting(), 0, "{output}");
}

#[test]
fn a_bad_certificate_is_reported_with_advice() {
    let test = "a_bad_certificate_is_reported_with_advice";
    let (authority, other, renewed) = (Authority::new("ours"), Authority::new("theirs"), Authority::new("ours"));
    let (trusted, empty) = (authority.file(), authority.path("empty.pem"));
    std::fs::write(&empty, "no certificate").unwrap();
    let empty = empty.to_str().unwrap();
    let verify = format!("ca_file: \"{trusted}\", verify: true");
    let servers = [
        ("127.0.0.1", 4000, ""),
        ("nats.example.com", 4000, ""),
        ("127.0.0.1", 2000, ""),
        ("127.0.0.1", 4000, &verify),
    ];
    let mut told = String::new();
    let mut check = |what: &str, fleet: &Fleet, ca_file: Option<&str>| {
        let url = encrypted(fleet);
        let ca_file = ca_file.map(|file| ["--ca-file", file]);
        let arguments = ["queue", "check"].into_iter().chain(ca_file.into_iter().flatten());
        let output = fleet.pipefold(arguments).env("PIPEFOLD_QUEUE", &url).run();
        assert_eq!(output.code, Some(1), "{what}: {output}");
        let neutral = output.stderr().replace(&url, "[queue]");
        let neutral = [(&authority, "[ours]"), (&other, "[theirs]"), (&renewed, "[renewed]")]
            .iter()
            .fold(neutral, |text, (authority, name)| {
                text.replace(authority.directory.path().to_str().unwrap(), name)
            });
        told += &format!("{what}\n    {neutral}");
    };
    for (index, (name, until, more)) in servers.into_iter().enumerate() {
        let Some(fleet) = Fleet::bare(test, &authority.server(name, until, more)) else {
            return;
        };
        match index {
            0 => {
                check("of an unknown authority", &fleet, None);
                check("of another authority than the given one", &fleet, Some(&other.file()));
                check(
                    "of the same authority before it was made anew",
                    &fleet,
                    Some(&renewed.file()),
                );
                check("with a file that has none", &fleet, Some(empty));
            }
            1 => check("for another name", &fleet, Some(&trusted)),
            2 => check("that has expired", &fleet, Some(&trusted)),
            _ => check("to a server that asks for one", &fleet, Some(&trusted)),
        }
    }
    let plain = Fleet::bare(test, &Options::default()).unwrap();
    check("of a server that has none", &plain, Some(&trusted));
    insta::assert_snapshot!("certificates", told);
}
