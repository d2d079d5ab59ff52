#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::{ComponentFile, Verified};
use proptest::prelude::*;
use std::fs;

// Made by minisign 0.11, with keys that have no password and sign nothing else.
const BYTES: &str = "component bytes";
const KEY: &str = "RWRU7YycA89QnuMy/MEuTXpcRekA5cNHMR97ONtjf9Sts7O3m5lV8Wx7";
const OTHER_KEY: &str = "RWSvJeRRfp4MN4JRKPdF0E2evEnwqoxUt57/qd7F81zdim+eH8t745Lq";
const SIGNED: &str = "untrusted comment: signature from minisign secret key
RURU7YycA89QnjchDKd+CxVjcrwe25J+DoDoOWNPdT0tcFEzHsQk3LMLfkl7XxyTUKuJV0KTz9VZs8mFeJz7RjwA1V164RghZQQ=
trusted comment: release 1
Ddna33ZJ+Fpj6TZUDUcH+nlhy/97VDVvPWO8tzMPm/LJj0QpOocQrYVsapsf+QhWzx39kQdxj03N2PtaZwBsAA==
";
const SIGNED_IN_THE_OLD_FORM: &str = "untrusted comment: signature from minisign secret key
RWRU7YycA89QnoRO55qnVoHzEmHE/9ASbM5ceaw3tsZO7Lme5NLSAGzobN3ZFj+LDUcXdLqefw/FjnwvvGzX0UggVwFlW4pvJgI=
trusted comment: release 1
euQJTYqWbwU9u6jZ21CxGtnUAIt/45G2mzY6qX+8ORvHXv4EOQYazwcb0FAu4uTRFSTFt4UAJyXyAYIcR0IyAw==
";

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write("guest.wasm", BYTES);
        place.write("guest.wasm.minisig", SIGNED);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    fn file(&self, key: &str) -> ComponentFile {
        ComponentFile::from(self.path("guest.wasm")).signed_by(Some(key.parse().unwrap()))
    }

    /// The error of every way to use the file, without the directory.
    fn error(&self, key: &str) -> String {
        let file = self.file(key);
        let error = file.read(100).unwrap_err().to_string();
        assert_eq!(file.fingerprint(100).unwrap_err().to_string(), error);
        assert_eq!(file.verify(100).unwrap_err().to_string(), error);
        // It still has a name: what was recorded under it stays bound to the same bytes.
        assert!(file.name_digest(100).is_ok());
        let error = error.replace(&format!("{}/", self.0.path().display()), "");
        assert!(error.chars().count() < 120 && !error.contains('\n'), "{error}");
        error
    }
}

#[test]
fn a_signed_file_is_read() {
    let place = Place::new();
    place.write("key.pub", format!("untrusted comment: a key\r\n{KEY}\r\n"));
    place.write("bare.pub", KEY);
    let key_file = |name: &str| place.path(name).display().to_string();
    for key in [KEY, &key_file("key.pub"), &key_file("bare.pub")] {
        let file = place.file(key);
        assert_eq!(file.read(100).unwrap().bytes, BYTES.as_bytes());
        assert_eq!(file.fingerprint(100).unwrap(), blake3::hash(BYTES.as_bytes()));
        let Verified { sha256, signed } = file.verify(100).unwrap().unwrap();
        assert_eq!(sha256, file.read(100).unwrap().sha256);
        assert_eq!(
            (signed.key.to_string().as_str(), &*signed.comment),
            ("9E50CF039C8CED54", "release 1")
        );
    }
    let unsigned = place.file(KEY).signed_by(None);
    fs::remove_file(place.path("guest.wasm.minisig")).unwrap();
    assert!(unsigned.read(100).is_ok() && unsigned.verify(100).unwrap().is_none());
}

#[test]
fn other_bytes_and_another_key_are_refused() {
    let place = Place::new();
    assert_eq!(
        place.error(OTHER_KEY),
        "guest.wasm: signed by key 9E50CF039C8CED54, and not by 370C9E7E51E425AF: get that signature, or trust the other key"
    );
    let wrong = "guest.wasm: not what key 9E50CF039C8CED54 signed: it or its signature was changed; get both again";
    for bytes in ["component bytez", "component byte", "component bytes ", ""] {
        place.write("guest.wasm", bytes);
        assert_eq!(place.error(KEY), wrong, "{bytes:?}");
    }
    place.write("guest.wasm", BYTES);
    // The comment is signed as well; the one above it is not.
    place.write("guest.wasm.minisig", SIGNED.replace("release 1", "release 2"));
    assert_eq!(place.error(KEY), wrong);
    place.write("guest.wasm.minisig", SIGNED.replace("minisign secret key", "us"));
    assert!(place.file(KEY).read(100).is_ok());
}

#[test]
fn no_flipped_bit_of_a_signature_is_valid() {
    let place = Place::new();
    let second = SIGNED.find('\n').unwrap() + 1;
    for at in second..SIGNED.len() - 1 {
        let mut bytes = SIGNED.as_bytes().to_vec();
        bytes[at] ^= 1;
        place.write("guest.wasm.minisig", bytes);
        assert!(place.file(KEY).fingerprint(100).is_err(), "{at}");
    }
    for length in 0..SIGNED.len() - 1 {
        place.write("guest.wasm.minisig", &SIGNED[..length]);
        assert!(place.file(KEY).fingerprint(100).is_err(), "{length}");
    }
}

#[test]
fn a_signature_that_is_none_is_named() {
    let place = Place::new();
    let none = "guest.wasm.minisig: this is no signature of minisign; copy it again as `minisign -S` wrote it";
    let long = SIGNED.replace("minisign secret key", &"k".repeat(20_000));
    let big = [SIGNED.as_bytes(), &[b'\n'; 20_000]].concat();
    for text in [
        b"".as_slice(),
        b"\xff",
        b"a\nb\nc\nd\n",
        KEY.as_bytes(),
        long.as_bytes(),
        &big,
    ] {
        place.write("guest.wasm.minisig", text);
        assert_eq!(place.error(KEY), none, "{}", String::from_utf8_lossy(text));
    }
    place.write("guest.wasm.minisig", SIGNED_IN_THE_OLD_FORM);
    assert_eq!(
        place.error(KEY),
        "guest.wasm.minisig: its form is old; sign again by minisign 0.10 or later, or by `minisign -SHm FILE`"
    );
    fs::remove_file(place.path("guest.wasm.minisig")).unwrap();
    assert_eq!(
        place.error(KEY),
        "guest.wasm.minisig is missing, and a signature is demanded: put it there, or make it by `minisign -S`"
    );
    fs::create_dir(place.path("guest.wasm.minisig")).unwrap();
    assert_eq!(
        place.error(KEY),
        "cannot read guest.wasm.minisig: it is not a regular file"
    );
}

#[test]
fn the_limit_of_a_component_and_its_pin_still_hold() {
    let place = Place::new();
    assert!(place.file(KEY).fingerprint(14).is_err() && place.file(KEY).fingerprint(15).is_ok());
    let path = place.path("guest.wasm");
    let pinned: ComponentFile = format!("{}@sha256:{}", path.display(), "0".repeat(64)).parse().unwrap();
    let pinned = pinned.signed_by(Some(KEY.parse().unwrap()));
    assert!(pinned.read(100).unwrap_err().to_string().contains("is pinned"));
    assert!(pinned.verify(100).unwrap_err().to_string().contains("is pinned"));
}

#[test]
fn no_wrong_key_is_shown() {
    let place = Place::new();
    let secret = format!("RWRTY0Iy{}", "A".repeat(204));
    let no_key = "this is no minisign public key: write its line of 56 characters, RWQ…, or the path of its file";
    let secret_key = "this is a secret key: name the public one, which `minisign -G` writes to minisign.pub";
    let error = |text: &str| text.parse::<KeyPlace>().unwrap_err().to_string();
    for wrong in ["", " ", &KEY[..55], &format!("{KEY}A"), &KEY[..20]] {
        assert_eq!(error(wrong), no_key, "{wrong}");
    }
    assert_eq!(error(&secret), secret_key);
    for (text, why) in [
        (&*secret, secret_key),
        (&format!("untrusted comment: k\n{secret}\n"), secret_key),
        ("", no_key),
        ("sesame", no_key),
        (SIGNED, no_key),
        (&" ".repeat(5000), no_key),
    ] {
        place.write("key", text);
        let key = place.path("key").display().to_string();
        assert_eq!(place.error(&key), format!("key: {why}"));
    }
    let absent = place.path("absent").display().to_string();
    assert_eq!(
        place.error(&absent),
        "cannot read the key absent: No such file or directory (os error 2)"
    );
}

proptest! {
    #[test]
    fn any_text_is_refused_or_a_key(text in r"(untrusted comment: .{0,9}\n)?[RU]?[WU]?[A-Za-z0-9+/=é\r]{0,220}(\n.{0,80}){0,3}") {
        let place = Place::new();
        place.write("guest.wasm.minisig", &text);
        prop_assert!(place.file(KEY).fingerprint(100).is_err());
        // Neither panics.
        let _ = (text.parse::<KeyPlace>(), text.parse::<MinisignKey>());
    }
}
