//! A stream that is full takes nothing more, and what comes waits where it comes from.

use pipefold_tests::SpoolContent;
use pipefold_tests::nats::Options;

use crate::place::Fleet;

/// The size of a message: a few fill the stream.
const LARGE: usize = 3000;

#[test]
fn what_does_not_fit_stays_in_the_spools_and_arrives_once_there_is_room() {
    let Some(fleet) = Fleet::bare(
        "what_does_not_fit_stays_in_the_spools_and_arrives_once_there_is_room",
        &Options::default(),
    ) else {
        return;
    };
    fleet.init(&["--max-size", "64KiB"]);
    fleet.ci.budgets(1000, 1000, 1000);
    let link = format!("https://ci.example/{}", "x".repeat(LARGE));
    let names: Vec<String> = (0..40).map(|number| format!("run-{number:02}")).collect();
    for name in &names {
        let command = format!("finish --status success --source-url {link}");
        fleet.report(name, &command).run().assert_code(0);
    }
    let stored = fleet.waiting();
    assert!(stored > 5 && stored < 30, "{stored} fit");
    let content = SpoolContent::read(&fleet.ci.spool());
    content.assert_sound(&"full");
    assert_eq!(
        content.waiting().count() as u64,
        40 - stored,
        "nothing is dropped, nothing kept twice"
    );
    assert!(content.rejections.is_empty(), "that is no fault of the run's");
    let why = format!("{:?}", content.troubles);
    assert!(why.contains("full"), "{why}");

    let forwarder = fleet.forward(&[]);
    fleet.flush_all();
    fleet.wait_until_empty();
    let known = fleet.ci.dx.records();
    assert_eq!(known.keys().cloned().collect::<Vec<_>>(), names);
    assert!(known.values().all(|record| record.status == "success"));
    forwarder.stop();
}
