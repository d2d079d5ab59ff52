//! Deliveries that are large, slow or bring their source down: others are answered meanwhile.

use std::io::{BufReader, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pipefold_tests::Collector;
use pipefold_tests::http::{Answer, connect, read_answer};
use serde_json::{Value, json};

use super::place::{Delivery, Place, SECRET, run, stored};
use crate::module::{HONEST_REALLOC, source};

/// The largest body.
const LARGEST: usize = 25 << 20;

/// A run whose body has this size.
fn large(id: u64, size: usize) -> Delivery {
    let mut delivery = run(id, "requested", None);
    let more = size - delivery.body.len() - r#","more":"""#.len();
    delivery.body.pop();
    delivery.body.extend_from_slice(br#","more":""#);
    delivery.body.extend(std::iter::repeat_n(b'x', more));
    delivery.body.extend_from_slice(b"\"}");
    assert_eq!(delivery.body.len(), size);
    delivery
}

/// A value of a process's memory, in KiB.
fn memory(collector: &Collector, which: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", collector.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(which)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Sends upserts until the end, and gives the longest time that one took, and their number.
fn upserts(collector: &Collector, over: &AtomicBool) -> (Duration, usize) {
    let (mut client, mut longest, mut count) = (collector.client(), Duration::ZERO, 0);
    while !over.load(Ordering::Relaxed) {
        let arguments = json!({
            "pipeline_name": "p", "pipeline_source": "tests", "reference_id": format!("run-{count}"), "started_at": "2025-01-01T12:05:00Z",
        });
        let begun = Instant::now();
        assert_eq!(client.upsert(&arguments).unwrap().status, 200);
        longest = longest.max(begun.elapsed());
        count += 1;
    }
    (longest, count)
}

#[test]
fn the_largest_delivery_is_taken_and_others_do_not_wait_for_it() {
    let place = Place::new();
    let collector = place.serve(&[]);
    assert_eq!(
        run(7, "requested", None).send(&mut collector.client()).unwrap().status,
        200
    );
    let before = memory(&collector, "VmHWM:");
    let deliveries: Vec<Delivery> = (1..=4).map(|id| large(id, LARGEST)).collect();
    let over = AtomicBool::new(false);
    let (longest, count) = std::thread::scope(|scope| {
        let beside = scope.spawn(|| upserts(&collector, &over));
        for delivery in &deliveries {
            let answer = delivery.send(&mut collector.client()).unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        over.store(true, Ordering::Relaxed);
        beside.join().unwrap()
    });
    assert!(stored(&collector, 1).is_some());
    assert!(
        count > 5 && longest < Duration::from_secs(3),
        "{count} upserts, the longest took {longest:?}"
    );
    let grown = memory(&collector, "VmHWM:") - before;
    assert!(grown < 150 << 10, "{grown} KiB more");
    // One byte more. The body is not waited for.
    let length = (LARGEST + 1).to_string();
    let headers = [("Content-Length", &*length)];
    let answer = collector.client().send("POST", "/hooks/github", &headers, b"").unwrap();
    assert_eq!(
        (answer.status, answer.json()["error"].clone()),
        (413, json!("request_too_large"))
    );
}

/// Sends a request in chunks, with a pause between them, and reads the answer.
fn drip(collector: &Collector, delivery: &Delivery, chunk: usize, pause: Duration) -> Option<Answer> {
    let mut stream = connect(collector.address).unwrap();
    let head = format!(
        "POST /hooks/github HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\nX-GitHub-Event: {}\r\n\
         X-Hub-Signature-256: {}\r\n\r\n",
        collector.address,
        delivery.event,
        delivery.signature()
    );
    stream.write_all(head.as_bytes()).ok()?;
    for part in delivery.body.chunks(chunk) {
        let part = [format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat();
        stream.write_all(&part).ok()?;
        std::thread::sleep(pause);
    }
    stream.write_all(b"0\r\n\r\n").ok()?;
    read_answer(&mut BufReader::new(stream)).ok()
}

#[test]
fn chunks_may_be_small_and_slow_ones_delay_no_other_request() {
    let place = Place::new();
    let collector = place.serve(&[]);
    let answer = drip(&collector, &large(1, 20_000), 100, Duration::ZERO).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // More of them than large bodies may be read at a time, each just beyond the size of one that is small.
        for _ in 0..50 {
            scope.spawn(|| {
                let mut stream = connect(collector.address).unwrap();
                let head = "POST /hooks/github HTTP/1.1\r\nHost: x\r\nContent-Length: 26214400\r\n\r\n";
                stream.write_all(head.as_bytes()).unwrap();
                stream.write_all(&[b' '; 20_000]).unwrap();
                while !over.load(Ordering::Relaxed) && stream.write_all(b" ").is_ok() {
                    std::thread::sleep(Duration::from_millis(50));
                }
            });
        }
        std::thread::sleep(Duration::from_millis(500));
        let begun = Instant::now();
        for id in 2..12 {
            let answer = large(id, 60_000).send(&mut collector.client()).unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        let answer = large(12, 2 << 20).send(&mut collector.client()).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        let took = begun.elapsed();
        over.store(true, Ordering::Relaxed);
        assert!(took < Duration::from_secs(15), "{took:?}");
    });
}

/// A collector with the source `github`, and the source `ours` with this `translate`.
fn with_component(place: &Place, realloc: &str, translate: &str, more: &str) -> Collector {
    let file = place.write("ours.wasm", &source(realloc, translate, more));
    place.serve(&place.source(&format!("ours={file}")))
}

fn send_ours(collector: &Collector) -> Answer {
    let bearer = format!("Bearer {SECRET}");
    let delivery = run(1, "requested", None);
    let headers = [("Authorization", &*bearer)];
    delivery
        .send_with(&mut collector.client(), "/hooks/ours", &headers)
        .unwrap()
}

#[test]
fn a_source_that_fails_costs_a_503_and_nothing_else() {
    let forever = "(loop $again (br $again)) (i32.const 1024)";
    let grow = "(block $full (loop $more (br_if $full (i32.eq (memory.grow (i32.const 64)) (i32.const -1))) (br $more))) unreachable";
    for (what, translate) in [
        ("a trap", "unreachable"),
        ("no end", forever),
        ("memory", grow),
        ("an answer outside its memory", "(i32.const 2147483640)"),
    ] {
        let place = Place::new();
        let collector = with_component(&place, HONEST_REALLOC, translate, "");
        let over = AtomicBool::new(false);
        let (answer, longest) = std::thread::scope(|scope| {
            let beside = scope.spawn(|| upserts(&collector, &over));
            let slow: Vec<_> = (0..6).map(|_| scope.spawn(|| send_ours(&collector))).collect();
            // The other source is not held up.
            let begun = Instant::now();
            assert_eq!(
                run(9, "requested", None).send(&mut collector.client()).unwrap().status,
                200
            );
            assert!(
                begun.elapsed() < Duration::from_secs(3),
                "{what}: {:?}",
                begun.elapsed()
            );
            let answers: Vec<Answer> = slow.into_iter().map(|thread| thread.join().unwrap()).collect();
            over.store(true, Ordering::Relaxed);
            assert!(answers.iter().all(|answer| answer.status == 503), "{what}: {answers:?}");
            (answers[0].clone(), beside.join().unwrap().0)
        });
        assert!(longest < Duration::from_secs(3), "{what}: {longest:?}");
        let body = answer.json();
        assert_eq!(
            (&body["ok"], &body["error"]),
            (&json!(false), &json!("service_unavailable")),
            "{what}"
        );
        assert!(answer.header("retry-after").is_some(), "{what}");
        let log = collector.stop().log;
        assert!(log.contains("source ours"), "{what}: {log}");
    }
}

#[test]
fn a_source_of_anyone_ignores_and_refuses_in_its_own_words() {
    // The reason is the begin of the body, which is where its address is in the arguments.
    let answer = |error: u8, ignored: u8| {
        format!(
            "(i32.store8 (i32.const 1024) (i32.const {error})) (i32.store8 (i32.const 1028) (i32.const {ignored}))
             (i32.store (i32.const {at}) (i32.const 2048)) (i32.store (i32.const {length}) (i32.const 14)) (i32.const 1024)",
            at = if error == 1 { 1028 } else { 1032 },
            length = if error == 1 { 1032 } else { 1036 },
        )
    };
    let reason = r#"(data (i32.const 2048) "not of our own")"#;
    let place = Place::new();
    let collector = with_component(&place, HONEST_REALLOC, &answer(0, 1), reason);
    let ignored = send_ours(&collector);
    assert_eq!(
        (ignored.status, ignored.json()),
        (200, json!({ "ok": true, "ignored": "not of our own" }))
    );
    let place = Place::new();
    let collector = with_component(&place, HONEST_REALLOC, &answer(1, 0), reason);
    let refused = send_ours(&collector);
    let body: Value = refused.json();
    assert_eq!(
        (refused.status, &body["error"], &body["message"]),
        (422, &json!("invalid_arguments"), &json!("not of our own"))
    );
}
