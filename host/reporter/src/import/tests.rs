//! Reading, mapping, refused rows and the state.

use super::mapping::{Mapped, Mapping, MappingOptions, Subject};
use super::reading::{Cells, Content, Input, MAX_ROW, Mark, Row, Rows};
use super::refusals::{Form, Refusals};
use super::state::{Saved, StateFile};
use super::{Format, ImportError, Totals};
use pipefold_sandbox::Notification;
use std::fs;
use std::io::{self, Read};

/// A source that gives few bytes at a time, and may be unable to go back.
struct Slow {
    bytes: Vec<u8>,
    at: usize,
    step: usize,
    goes_back: bool,
}

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.step.min(buffer.len()).min(self.bytes.len() - self.at);
        buffer[..length].copy_from_slice(&self.bytes[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

impl Input for Slow {
    fn back_to(&mut self, byte: u64) -> io::Result<bool> {
        if self.goes_back {
            self.at = byte as usize;
        }
        Ok(self.goes_back)
    }
}

fn rows_of(bytes: &[u8], format: Format, step: usize, goes_back: bool) -> Vec<Row> {
    let input = Slow {
        bytes: bytes.to_vec(),
        at: 0,
        step,
        goes_back,
    };
    let mut rows = Rows::new(Box::new(input), format, b',');
    std::iter::from_fn(|| rows.next().unwrap()).collect()
}

/// The rows as text, the same in steps of any size.
fn read(bytes: &[u8], format: Format) -> Vec<String> {
    let all = rows_of(bytes, format, usize::MAX, true);
    for step in [1, 2, 3, 7, 4096] {
        // One byte at a time, a file of megabytes takes seconds.
        if bytes.len() / step < 10_000 {
            assert_eq!(rows_of(bytes, format, step, true), all, "in steps of {step}");
        }
    }
    let last = all.last().map_or(0, |row| row.end.bytes as usize);
    assert!(bytes[last..].iter().all(u8::is_ascii_whitespace) || all.is_empty());
    all.iter()
        .map(|row| format!("{}: {}", row.line, shown(&row.content)))
        .collect()
}

fn shown(content: &Content) -> String {
    match content {
        Content::Cells(cells) => {
            let cells: Vec<_> = cells.iter().map(|cell| String::from_utf8_lossy(cell)).collect();
            cells.join("|")
        }
        Content::Line(line) => String::from_utf8_lossy(line).into_owned(),
        Content::Unreadable { text, why } => {
            format!("! {} ({why})", String::from_utf8_lossy(&text[..text.len().min(9)]))
        }
    }
}

#[test]
fn csv_has_quotes_line_breaks_and_blank_lines() {
    let text = "\u{feff}a,b\r\n1,\"2\r\n,\"\"x\"\"\"\r\n\r\n\n3,\n\"\",4 \"5\"\n6,7";
    assert_eq!(
        read(text.as_bytes(), Format::Csv),
        ["1: a|b", "2: 1|2\r\n,\"x\"", "6: 3|", "7: |4 \"5\"", "8: 6|7"]
    );
    for empty in ["", "\u{feff}", "\n\r\n"] {
        assert!(read(empty.as_bytes(), Format::Csv).is_empty());
    }
    assert_eq!(read(b"a\rb\r\nc", Format::Csv), ["1: a", "1: b", "2: c"]);
    assert_eq!(read(b"a,\x00,\xff", Format::Csv), ["1: a|\0|\u{fffd}"]);
}

#[test]
fn json_lines_may_have_blanks_around() {
    assert_eq!(
        read(b"\xef\xbb\xbf {\"a\":1} \r\n\r\n \t\n{}\n{", Format::Jsonl),
        ["1: {\"a\":1}", "4: {}", "5: {"]
    );
}

#[test]
fn a_quote_that_is_not_closed_costs_its_row() {
    let not_closed = "a quote is not closed: write each quote within a cell twice";
    assert_eq!(
        read(b"a,b\n1,\"2\n3,4\n5,\"6\n7\n", Format::Csv),
        ["1: a|b", "2: 1|2\n3,4\n5,6", "5: 7"],
        "a later quote closes it"
    );
    assert_eq!(
        read(b"a,b\n1,\"2\n3,4\n5,6", Format::Csv),
        [
            "1: a|b".to_owned(),
            format!("2: ! 1,\"2 ({not_closed})"),
            "3: 3|4".into(),
            "4: 5|6".into()
        ]
    );
}

#[test]
fn a_row_that_is_too_long_costs_itself() {
    let long = "x".repeat(MAX_ROW + 1);
    let too_long = "xxxxxxxxx (the row is longer than 1 MiB)";
    for format in [Format::Csv, Format::Jsonl] {
        let text = format!("a\n{long}\nb\n{long}");
        let expected = [
            "1: a".to_owned(),
            format!("2: ! {too_long}"),
            "3: b".into(),
            format!("4: ! {too_long}"),
        ];
        assert_eq!(read(text.as_bytes(), format), expected);
    }
    // Rows within a cell stay within it.
    let inner = "evil,row\n".repeat(MAX_ROW / 8);
    let text = format!("a,\"{inner}\"\nb,c\n");
    assert_eq!(
        read(text.as_bytes(), Format::Csv),
        [
            "1: ! a,\"evil,r (the row is longer than 1 MiB)".to_owned(),
            format!("{}: b|c", MAX_ROW / 8 + 2)
        ]
    );
    // If it has no end, the file is read by lines.
    let rows = "b,c\n".repeat(MAX_ROW / 4);
    let text = format!("a,\"x\n{rows}d,e\n");
    let read = read(text.as_bytes(), Format::Csv);
    assert_eq!(read.len(), MAX_ROW / 4 + 2);
    assert!(read[0].contains("a quote is not closed"), "{}", read[0]);
    assert_eq!(read.last().unwrap(), &format!("{}: d|e", MAX_ROW / 4 + 2));
    let piped = rows_of(text.as_bytes(), Format::Csv, 4096, false);
    let Content::Unreadable { why, .. } = &piped[0].content else {
        panic!()
    };
    assert!(piped.len() == 1 && why.contains("instead of a pipe"), "{why}");
}

#[test]
fn memory_is_bounded_by_a_row() {
    struct Endless(u64);
    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = buffer.len().min(self.0 as usize);
            buffer[..length].fill(b'"');
            self.0 -= length as u64;
            Ok(length)
        }
    }
    impl Input for Endless {
        fn back_to(&mut self, _byte: u64) -> io::Result<bool> {
            Ok(false)
        }
    }
    let mut rows = Rows::new(Box::new(Endless(100 * MAX_ROW as u64)), Format::Csv, b',');
    while rows.next().unwrap().is_some() {}
    assert!(rows.capacity() <= 4 * MAX_ROW, "{}", rows.capacity());
}

fn cells(text: &str) -> Cells {
    match rows_of(text.as_bytes(), Format::Csv, 4096, true).remove(0).content {
        Content::Cells(cells) => cells,
        other => panic!("{other:?}"),
    }
}

fn pairs(given: &[(&str, &str)]) -> Vec<(String, String)> {
    given.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

/// The notification of a row of CSV.
fn map_csv(options: &MappingOptions, header: &str, row: &str) -> Result<Mapped, String> {
    let mut mapping = Mapping::new(options).unwrap();
    mapping.take_header(&cells(header), options).unwrap();
    mapping.map(&Content::Cells(cells(row)))
}

fn map_json(json: &str) -> Result<Mapped, String> {
    let mapping = Mapping::new(&MappingOptions::default()).unwrap();
    mapping.map(&Content::Line(json.into()))
}

const HEADER: &str = "pipeline_name,pipeline_source,reference_id,started_at,finished_at,status,pr_number,step";

#[test]
fn a_row_is_a_notification() {
    let options = MappingOptions {
        columns: pairs(&[("pipeline_name", "Job"), ("head_branch", "Job")]),
        constants: pairs(&[("pipeline_source", "Jenkins")]),
        statuses: pairs(&[("Passed", "success")]),
    };
    let header = "Job,reference_id,started_at,finished_at,status,pr_number,pipeline_source,other";
    let mapped = map_csv(
        &options,
        header,
        " web ,1,1735733100250,2025-01-01 12:10:00 UTC,PASSED,7,x,\"\"",
    )
    .unwrap();
    let expected = Notification {
        pipeline_name: Some("web".into()),
        head_branch: Some("web".into()),
        pipeline_source: Some("Jenkins".into()),
        reference_id: Some("1".into()),
        started_at: Some("2025-01-01T12:05:00.250Z".into()),
        finished_at: Some("2025-01-01T12:10:00Z".into()),
        status: Some("success".into()),
        pr_number: Some(7),
        ..Notification::default()
    };
    assert_eq!((mapped.notification, mapped.subject), (expected, Subject::Run));
}

#[test]
fn jobs_have_pipefolds_names_or_those_of_dx() {
    let none = MappingOptions::default();
    let step = map_csv(&none, HEADER, "web,ci,run,2025-01-01,,failed,,test").unwrap();
    let expected = Notification {
        pipeline_name: Some("web".into()),
        pipeline_source: Some("ci".into()),
        reference_id: Some("run".into()),
        started_at: Some("2025-01-01".into()),
        status: Some("failure".into()),
        step: Some("test".into()),
        urgent: true,
        ..Notification::default()
    };
    assert_eq!((step.notification, step.subject), (expected.clone(), Subject::Step));
    let job = r#"{"pipeline_source":"ci","run_reference_id":"run","reference_id":"test/1","name":"test","status":"failure","started_at":1735733100}"#;
    let job = map_json(job).unwrap();
    let expected = Notification {
        pipeline_name: None,
        step_id: Some("test/1".into()),
        started_at: Some("2025-01-01T12:05:00Z".into()),
        ..expected
    };
    assert_eq!((job.notification, job.subject), (expected, Subject::Job));
    for (row, why) in [
        (r#"{"step":"a","run_reference_id":"r"}"#, "give step with reference_id"),
        (r#"{"run_reference_id":"r"}"#, "name: the job has no name"),
        (r#"{"step_id":"r"}"#, "step_id: its step has no name"),
    ] {
        let said = map_json(row).unwrap_err();
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn faults_of_a_row_name_their_field() {
    let none = MappingOptions::default();
    for (row, why) in [
        ("web,ci,1,2025-01-01,,,x,", "pr_number: expected a whole number"),
        ("web,ci,1", "the row has 3 cells and the header 8"),
        ("web,ci,1,2025-01-01,,,,,9", "the row has 9 cells"),
    ] {
        let said = map_csv(&none, HEADER, row).unwrap_err();
        assert!(said.contains(why), "{said}");
    }
    for (row, why) in [
        ("", "could not be parsed"),
        ("{", "could not be parsed"),
        ("[1]", "array"),
        ("7", "could not be parsed"),
        (r#"{"status":"a","status":"b"}"#, "status is given twice"),
        (r#"{"email":["a"]}"#, "email: "),
        (r#"{"head_branch":1.5}"#, "head_branch: expected text"),
        (r#"{"started_at":{}}"#, "started_at: "),
    ] {
        let said = map_json(row).unwrap_err();
        assert!(said.contains(why), "{row}: {said}");
    }
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(map_json(&deep).is_err());
    let mut mapping = Mapping::new(&none).unwrap();
    mapping.take_header(&cells(HEADER), &none).unwrap();
    let bytes = rows_of(b"web\xff,ci,1,2025-01-01,,,,\n", Format::Csv, 9, true)
        .remove(0)
        .content;
    assert_eq!(mapping.map(&bytes).unwrap_err(), "pipeline_name: the text is not UTF-8");
}

#[test]
fn a_field_of_any_type_is_a_notification_or_a_refusal() {
    let values = [
        "null",
        "true",
        "-1",
        "1e400",
        "1e15",
        "9007199254740993",
        "\"\"",
        "\" \"",
        "\"\\u0000\"",
        "[]",
        "{}",
        "[[1]]",
    ];
    for name in super::mapping::names() {
        for value in values {
            let row = format!(r#"{{"reference_id":"r","{name}":{value}}}"#);
            match map_json(&row) {
                Ok(mapped) => assert!(mapped.notification.attributes.is_empty()),
                Err(why) => assert!(!why.is_empty() && why.len() < 300, "{why}"),
            }
        }
    }
}

#[test]
fn wrong_names_are_errors_with_the_nearest() {
    let wrong = |options: &MappingOptions, header: &str| {
        let taken = Mapping::new(options).and_then(|mut mapping| mapping.take_header(&cells(header), options));
        taken.unwrap_err().to_string()
    };
    let none = MappingOptions::default();
    let columns = |pair| MappingOptions {
        columns: pairs(&[pair]),
        ..none.clone()
    };
    let constants = |given: &[(&str, &str)]| MappingOptions {
        constants: pairs(given),
        ..none.clone()
    };
    for (options, header, why) in [
        (
            columns(("pipline_name", "x")),
            HEADER,
            "--column: DX has no pipline_name; did you mean pipeline_name?",
        ),
        (columns(("colour", "x")), HEADER, "give one of pipeline_name, "),
        (
            columns(("email", "statsu")),
            HEADER,
            "--column email=statsu: there is no such column; the nearest is status",
        ),
        (
            constants(&[("emial", "x")]),
            HEADER,
            "--set: DX has no emial; did you mean email?",
        ),
        (
            constants(&[("email", "x"), ("email", "y")]),
            HEADER,
            "--set email is given twice",
        ),
        (
            none.clone(),
            "a,b",
            "no column is pipeline_name: name one by --column pipeline_name=COLUMN",
        ),
        (
            none.clone(),
            &HEADER.replace("started_at", "start_at"),
            "no column is started_at",
        ),
        (
            none.clone(),
            &HEADER.replace("started_at", "start_at"),
            "the nearest is start_at",
        ),
        (
            none.clone(),
            &format!("{HEADER},status"),
            "the column status occurs twice",
        ),
    ] {
        let said = wrong(&options, header);
        assert!(said.contains(why), "{said}");
    }
    let mut mapping = Mapping::new(&none).unwrap();
    let header = cells(&format!("{HEADER},comit_sha,Notes,refused"));
    let remark = mapping.take_header(&header, &none).unwrap().unwrap();
    assert_eq!(remark, "columns that are not imported: comit_sha (commit_sha?), Notes");
}

#[test]
fn refused_rows_can_be_imported_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("refused");
    let header = cells("a,b,refused");
    let mut file = Refusals::new(&path, Form::new(Format::Csv, Some(header.clone()), b','), false).unwrap();
    file.add(&Content::Cells(cells("\"1,\"\"\",2,earlier")), "why, now")
        .unwrap();
    let length = file.bytes();
    file.add(&Content::Cells(cells("3")), "w").unwrap();
    let torn = Content::Unreadable {
        text: b"x,\"y".to_vec(),
        why: "w",
    };
    file.add(&torn, "w").unwrap();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "a,b,refused\n\"1,\"\"\",2,\"why, now\"\n3,,w\n\"x,\"\"y\",,w\n"
    );
    assert!(matches!(
        Refusals::new(&path, Form::Jsonl, false),
        Err(ImportError::Refusals(why)) if why.contains("earlier import")
    ));
    // Rows behind the position are refused again.
    drop(Refusals::again(&path, Form::new(Format::Csv, Some(header), b','), length).unwrap());
    assert_eq!(fs::metadata(&path).unwrap().len(), length);

    let mut file = Refusals::new(&path, Form::Jsonl, true).unwrap();
    for line in [
        r#"{"a": 1.10 ,"b":"\",\"refused\":\"x"}"#,
        "{}",
        r#"{"a":1,"refused":"earlier"}"#,
        "{no",
    ] {
        file.add(&Content::Line(line.into()), "\"why\"").unwrap();
    }
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "{\"a\": 1.10 ,\"b\":\"\\\",\\\"refused\\\":\\\"x\",\"refused\":\"\\\"why\\\"\"}\n{\"refused\":\"\\\"why\\\"\"}\n\
         {\"a\":1,\"refused\":\"\\\"why\\\"\"}\n{\"refused\":\"\\\"why\\\"\",\"row\":\"{no\"}\n"
    );
}

#[test]
fn the_state_is_the_last_whole_one_of_the_same_import() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    let mark = |rows| Mark {
        rows,
        bytes: rows * 10,
        digest: [rows as u8; 32],
    };
    let settled = [false, true, false, true, true];
    let (mut state, saved) = StateFile::open(&path, "one", false).unwrap();
    assert_eq!(saved, None);
    for rows in 1..=3 {
        let totals = Totals {
            rows,
            ..Totals::default()
        };
        state
            .save(Saved::new(&mark(rows), settled.into_iter(), 5, &totals))
            .unwrap();
    }
    let second = StateFile::open(&path, "one", false).unwrap_err();
    assert!(second.to_string().contains("another pipefold"), "{second}");
    drop(state);
    let last = || StateFile::open(&path, "one", false).unwrap().1.unwrap();
    assert!(last().is_at(&mark(3)) && !last().is_at(&mark(2)));
    assert_eq!((last().refused_bytes, last().totals.rows), (5, 3));
    assert_eq!(
        (3..9).map(|number| last().is_settled(number)).collect::<Vec<_>>()[..5],
        settled
    );
    assert!(last().is_settled(2) && !last().is_settled(8) && !last().is_settled(1_000_000));
    // Torn anywhere, the one before counts.
    let whole = fs::read(&path).unwrap();
    let newest = 128 + 2048;
    for at in [newest, newest + 100, newest + 2040] {
        let mut torn = whole.clone();
        torn[at] ^= 1;
        fs::write(&path, torn).unwrap();
        assert!(last().is_at(&mark(2)), "{at}");
    }
    fs::write(&path, &whole).unwrap();
    let other = StateFile::open(&path, "other", false).unwrap_err();
    assert!(other.to_string().contains("--restart"), "{other}");
    assert_eq!(StateFile::open(&path, "other", true).unwrap().1, None);
    fs::write(&path, "a file of the user").unwrap();
    assert!(StateFile::open(&path, "one", true).is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "a file of the user");
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(StateFile::open(&link, "one", true).is_err());
}
