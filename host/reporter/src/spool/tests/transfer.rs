//! Export and import.

use super::*;
use std::io::{BufReader, Write};

#[test]
fn what_waits_arrives_whole_and_only_once() {
    let (_dir, here) = spool();
    let (_other, there) = spool();
    let partly = record(&here, "partly", 3);
    here.mark_sent(RunKey::of("partly"), [partly[1]]).unwrap();
    let waiting = record(&here, "waiting", 2);
    let delivered = record(&here, "delivered", 1);
    here.mark_sent(RunKey::of("delivered"), delivered).unwrap();

    let mut file = Vec::new();
    let exported = here.export(&mut file).unwrap();
    assert_eq!((exported.runs, exported.records, exported.aside.len()), (2, 5, 0));
    assert_eq!(file.iter().filter(|b| **b == b'\n').count(), 5);

    for round in 0..2 {
        let imported = there.import(&mut file.as_slice()).unwrap();
        assert_eq!(
            (imported.new + imported.known, imported.known, imported.bad.len()),
            (5, 5 * round, 0)
        );
        for run in ["partly", "waiting"] {
            let (a, b) = (load(&here, run), load(&there, run));
            assert_eq!((a.entries, a.sent), (b.entries, b.sent));
        }
        assert_eq!(there.runs().unwrap().len(), 2);
    }
    assert_eq!(load(&there, "waiting").waiting().count(), waiting.len());
    assert_eq!(
        load(&here, "waiting").waiting().count(),
        waiting.len(),
        "an export delivers nothing"
    );
}

#[test]
fn bad_lines_are_named_by_number_and_passed_over() {
    let (_dir, here) = spool();
    record(&here, "a", 2);
    let mut good = Vec::new();
    here.export(&mut good).unwrap();
    let lines: Vec<&[u8]> = good.split(|b| *b == b'\n').collect();
    let id = EntryId::random().unwrap();

    let mut file = Vec::new();
    writeln!(file, "not json").unwrap();
    file.write_all(lines[0]).unwrap();
    writeln!(
        file,
        "\n\r\n{{\"id\":\"../../etc/passwd\",\"sent\":false,\"entry\":{{}}}}"
    )
    .unwrap();
    writeln!(file, "{}", "x".repeat(1024 * 1024)).unwrap();
    writeln!(file, r#"{{"id":"{id}","sent":false,"entry":{{"version":3}}}}"#).unwrap();
    let nameless = String::from_utf8(lines[0].to_vec())
        .unwrap()
        .replace("\"reference_id\":\"a\"", "\"reference_id\":null");
    writeln!(file, "{nameless}").unwrap();
    file.extend([0xff, 0xfe, b'\n']);
    // The last line has no end, as after an editor.
    file.write_all(lines[1]).unwrap();

    let (_other, there) = spool();
    let imported = there.import(&mut BufReader::with_capacity(7, file.as_slice())).unwrap();
    let numbers: Vec<u64> = imported.bad.iter().map(|bad| bad.number).collect();
    assert_eq!((imported.new, numbers), (2, vec![1, 4, 5, 6, 7, 8]), "{imported:#?}");
    assert!(imported.bad[2].why.contains("longer"), "{imported:#?}");
    assert!(imported.bad[3].why.contains("newer"), "{imported:#?}");
    assert_eq!(load(&there, "a").entries, load(&here, "a").entries);
}

#[test]
fn no_end_of_bad_lines_fills_the_memory() {
    let (_dir, spool) = spool();
    let imported = spool.import(&mut "x\n".repeat(5000).as_bytes()).unwrap();
    assert_eq!((imported.bad.len(), imported.more_bad), (100, 4900));
}
