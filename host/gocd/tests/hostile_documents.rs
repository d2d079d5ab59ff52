//! Documents that no server sends on purpose are refused early, with advice in the error.

use std::io::Read;
use std::time::{Duration, Instant};

use pipefold_gocd::read::{self, ReadFault, limits};

fn fault(document: impl AsRef<[u8]>) -> ReadFault {
    read::read(document.as_ref()).unwrap_err().fault
}

macro_rules! refused {
    ($document:expr, $fault:pat) => {
        let fault = fault($document);
        assert!(matches!(fault, $fault), "{fault:?}");
    };
}

const STAGE: &str =
    r#"<stage name="s" counter="1"><pipeline name="p" counter="2"/><updated>2015-08-05T15:24:15Z</updated></stage>"#;

#[test]
fn every_beginning_of_a_document_is_refused() {
    read::stage(STAGE.as_bytes()).unwrap();
    for length in 0..STAGE.len() {
        let error = read::read(&STAGE.as_bytes()[..length]).unwrap_err();
        assert!(
            matches!(error.fault, ReadFault::Empty | ReadFault::NotXml | ReadFault::Truncated),
            "{length}: {error}"
        );
    }
}

#[test]
fn what_is_no_document() {
    refused!("", ReadFault::Empty);
    refused!(" \n\t", ReadFault::Empty);
    refused!("Pipeline not found\n", ReadFault::NotXml);
    refused!(
        r#"{"message": "Either the resource you requested was not found"}"#,
        ReadFault::NotXml
    );
    refused!("<!DOCTYPE html>\n<html><body>Login</body></html>", ReadFault::Html);
    refused!("<HTML><BODY>Login<br></BODY></HTML>", ReadFault::Html);
    refused!(
        "<not-found>\n  <message>no</message>\n</not-found>\n",
        ReadFault::UnknownRoot
    );
    refused!(b"\x1f\x8b\x08\x00\x00", ReadFault::NotXml | ReadFault::NotUtf8);
    refused!("<pipelines/><pipelines/>", ReadFault::Trailing);
    refused!("<pipelines/>x", ReadFault::Trailing);
    refused!("<pipelines><pipeline></pipelines>", ReadFault::Missing("href"));
    refused!("<pipelines><a></pipelines>", ReadFault::Malformed(_));
    refused!("<pipelines><a b='1' b='2'/></pipelines>", ReadFault::Malformed(_));
    let error = read::stage(b"<pipelines/>").unwrap_err();
    assert_eq!(
        error.to_string(),
        "<pipelines> document, line 1: a <stage> document was expected; check the server's address, or whether a redirect led elsewhere"
    );
}

#[test]
fn malformed_attributes_are_refused() {
    for attributes in [
        "b",
        "b=",
        "b=c",
        "='1'",
        "\"b\"='1'",
        "b<c='1'",
        "b='&x;'",
        "b='1' b=\"2\"",
        "b='1' c",
    ] {
        refused!(
            format!("<pipelines><a {attributes}/></pipelines>"),
            ReadFault::Malformed(_)
        );
        refused!(
            format!("<pipelines><a {attributes}></a></pipelines>"),
            ReadFault::Malformed(_)
        );
    }
    for attributes in [
        "",
        "b='1'",
        "b = \"1\"",
        "b='\"' c=\"'\"",
        "b='&#60;&amp;'",
        "xml:b='1'\n c='2'",
    ] {
        assert!(
            read::read(format!("<pipelines><a {attributes}/></pipelines>").as_bytes()).is_ok(),
            "{attributes}"
        );
    }
}

#[test]
fn declared_entities_are_refused_before_they_expand() {
    let mut bomb = String::from("<?xml version=\"1.0\"?>\n<!DOCTYPE bomb [\n<!ENTITY a0 \"ha\">\n");
    for level in 1..30 {
        bomb.push_str(&format!("<!ENTITY a{level} \"&a{0};&a{0};&a{0};&a{0};\">\n", level - 1));
    }
    bomb.push_str("]>\n<pipelines>&a29;</pipelines>");
    refused!(&bomb, ReadFault::DocumentType);
    refused!(
        "<!DOCTYPE p SYSTEM \"file:///etc/passwd\"><pipelines/>",
        ReadFault::DocumentType
    );
    refused!("<pipelines><!DOCTYPE p><a/></pipelines>", ReadFault::DocumentType);
    refused!(
        "<stage name=\"s\" counter=\"1\"><updated>&a;</updated></stage>",
        ReadFault::Malformed(_)
    );
    refused!("<stage name=\"&a;\" counter=\"1\"/>", ReadFault::Malformed(_));
}

#[test]
fn limits_are_obeyed_and_no_narrower_than_documented() {
    let nested = |depth: usize| {
        format!(
            "<pipelines>{}{}</pipelines>",
            "<a>".repeat(depth - 1),
            "</a>".repeat(depth - 1)
        )
    };
    assert!(read::read(nested(limits::MAX_DEPTH).as_bytes()).is_ok());
    refused!(nested(limits::MAX_DEPTH + 1), ReadFault::TooDeep);
    refused!(nested(100_000), ReadFault::TooDeep);
    refused!("<a>".repeat(100_000), ReadFault::UnknownRoot | ReadFault::TooDeep);

    let many = |elements: usize| format!("<pipelines>{}</pipelines>", "<a/>".repeat(elements - 1));
    assert!(read::read(many(limits::MAX_ELEMENTS).as_bytes()).is_ok());
    refused!(many(limits::MAX_ELEMENTS + 1), ReadFault::TooManyElements);

    let attributes = |count: usize| {
        let attributes: String = (0..count - 2).map(|number| format!(" a{number}=''")).collect();
        STAGE.replacen(" counter", &format!("{attributes} counter"), 1)
    };
    assert!(read::read(attributes(limits::MAX_ATTRIBUTES).as_bytes()).is_ok());
    refused!(attributes(limits::MAX_ATTRIBUTES + 1), ReadFault::TooManyAttributes);

    let with_time = |length: usize| STAGE.replace("2015-08-05T15:24:15Z", &"x".repeat(length));
    assert!(read::read(with_time(limits::MAX_TEXT).as_bytes()).is_ok());
    refused!(with_time(limits::MAX_TEXT + 1), ReadFault::TextTooLong);
    refused!(with_time(limits::MAX_BYTES), ReadFault::TooLong);
    refused!(
        STAGE.replace("\"s\"", &format!("\"{}\"", "x".repeat(4097))),
        ReadFault::Unfit { .. }
    );
}

#[test]
fn a_change_s_message_is_cut_rather_than_refused() {
    let message = "é".repeat(limits::MAX_TEXT);
    let document = format!(
        r#"<pipeline name="p" counter="1"><materials><material type="GitMaterial"><modifications><changeset>
           <message><![CDATA[{message}]]></message></changeset></modifications></material></materials></pipeline>"#
    );
    let pipeline = read::pipeline(document.as_bytes()).unwrap();
    let kept = pipeline.materials[0].changesets[0].message.as_ref().unwrap();
    assert_eq!(kept.len(), limits::MAX_TEXT);
}

#[test]
fn of_a_hundred_megabytes_only_what_a_document_may_have_is_taken() {
    struct Endless(u64);
    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            buffer.fill(b' ');
            self.0 += buffer.len() as u64;
            Ok(buffer.len())
        }
    }
    let mut source = Endless(0);
    let error = read::from_reader((&mut source).take(100 * 1024 * 1024)).unwrap_err();
    assert!(matches!(error.fault, ReadFault::TooLong), "{error}");
    assert!(source.0 <= 2 * limits::MAX_BYTES as u64, "{}", source.0);
}

#[test]
fn other_encodings_are_refused() {
    let latin = b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><stage name=\"\xe9\" counter=\"1\"/>";
    refused!(latin, ReadFault::Encoding(_));
    let undeclared = b"<stage name=\"\xe9\" counter=\"1\"><pipeline name=\"p\" counter=\"1\"/></stage>";
    refused!(undeclared, ReadFault::NotUtf8);
    let in_text = b"<stage name=\"s\" counter=\"1\"><updated>\xff</updated></stage>";
    refused!(in_text, ReadFault::NotUtf8);
    let utf16: Vec<u8> = "\u{feff}<stage/>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    refused!(utf16, ReadFault::Encoding(_));
    for start in [
        "\u{feff}",
        "\n\n<?xml version='1.0' encoding='utf-8'?>\n",
        "<?xml version=\"1.0\"?>",
        "<!-- a -->\n",
    ] {
        assert!(read::read(format!("{start}{STAGE}").as_bytes()).is_ok(), "{start:?}");
    }
}

#[test]
fn what_identifies_a_run_must_be_right() {
    for (from, to) in [
        ("counter=\"1\"", "counter=\"0\""),
        ("counter=\"1\"", "counter=\"-1\""),
        ("counter=\"1\"", "counter=\"+1\""),
        ("counter=\"1\"", "counter=\"1e3\""),
        ("counter=\"1\"", "counter=\"99999999999999999999\""),
        ("name=\"s\"", "name=\"&#27;[31m\""),
        ("name=\"p\"", "name=\"a&#xffff;b\""),
    ] {
        refused!(STAGE.replace(from, to), ReadFault::Unfit { .. });
    }
    for (from, to) in [
        ("counter=\"1\"", ""),
        ("name=\"s\"", "name=\" \""),
        ("<pipeline name=\"p\" counter=\"2\"/>", ""),
    ] {
        refused!(STAGE.replacen(from, to, 1), ReadFault::Missing(_));
    }
    for id in [
        "http://ci/go/pipelines/p/1/s",
        "http://ci/go/tab/p/1/s/1",
        "mailto:a@b",
        "//ci/go/pipelines/p/1/s/1",
        "http://ci/go/pipelines/p/x/s/1",
    ] {
        refused!(
            format!("<feed><entry><id>{id}</id></entry></feed>"),
            ReadFault::Unfit { .. }
        );
    }
    refused!(
        "<feed><entry><title>p(1) stage s(1) Passed</title></entry></feed>",
        ReadFault::Missing("id")
    );
    refused!("<feed><entry><id>410273</id></entry></feed>", ReadFault::TooOld);
    refused!(
        "<feed><link rel='previous' href='http://ci/go/api/pipelines/p/stages.xml?after=4'/></feed>",
        ReadFault::TooOld
    );
    refused!(
        "<pipelines><pipeline href='http://ci/go/api/pipelines/p/4.xml'/></pipelines>",
        ReadFault::Unfit { .. }
    );
}

#[test]
fn errors_name_the_place() {
    let document = "<?xml version=\"1.0\"?>\n\n<stage name=\"s\" counter=\"1\">\n  <pipeline name=\"p\"\n   counter=\"\u{1b}no\u{7}\"/>\n</stage>";
    insta::assert_snapshot!(read::read(document.as_bytes()).unwrap_err(), @r"<stage> document, line 5, <pipeline>: counter is not a number from 1, so it is unclear which run this is: `\u{1b}no\u{7}`");
    insta::assert_snapshot!(read::read(b"<feed>\n<entry>\n").unwrap_err(), @"<feed> document, line 3, <entry>: it ends before the element does; it was cut off on its way, try again");
}

#[test]
fn a_large_document_is_read_in_little_time() {
    let file = "<file name=\"server/src/main/java/a.java\" action=\"modified\"/>";
    let document = format!(
        "<pipeline name='p' counter='1'><materials><material type='GitMaterial'><modifications><changeset>{}</changeset></modifications></material></materials></pipeline>",
        file.repeat(limits::MAX_ELEMENTS - 10)
    );
    assert!(document.len() > 10_000_000 && document.len() < limits::MAX_BYTES);
    let begun = Instant::now();
    assert!(read::read(document.as_bytes()).is_ok());
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}
