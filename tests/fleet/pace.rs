//! The pace of requests to DX: at the rate, one at a time while DX is doubtful, and again and again for upserts that it refuses for an unknown reason.

use std::time::Duration;

use pipefold_tests::{Mode, Recorded, Times, eventually};

use crate::backlog::publish;
use crate::place::Fleet;

/// The most requests that came within so long.
fn most_within(requests: &[Recorded], time: Duration) -> usize {
    let from = |index: usize| {
        let first = requests[index].at;
        requests[index..].iter().take_while(|one| one.at - first < time).count()
    };
    (0..requests.len()).map(from).max().unwrap_or_default()
}

#[test]
fn dx_gets_no_more_than_the_rate_and_one_burst() {
    let Some(fleet) = Fleet::start("dx_gets_no_more_than_the_rate_and_one_burst") else {
        return;
    };
    publish(&fleet, 200);
    let forwarder = fleet.forward(&["--rate", "50"]);
    fleet.wait_until_empty();
    // Two seconds' worth, a burst of a tenth of a second's, and half a second's that a busy machine brings late.
    let most = most_within(&fleet.ci.dx.requests(), Duration::from_secs(2));
    assert!(most <= 100 + 5 + 25, "{most} within two seconds");
    assert_eq!(fleet.ci.dx.records().len(), 200);
    forwarder.stop();
}

#[test]
fn a_dx_that_fails_is_asked_one_by_one_and_ever_more_seldom() {
    let Some(fleet) = Fleet::start("a_dx_that_fails_is_asked_one_by_one_and_ever_more_seldom") else {
        return;
    };
    let dx = &fleet.ci.dx;
    dx.set_mode(Mode::InternalError);
    publish(&fleet, 200);
    let forwarder = fleet.forward(&["--rate", "1000", "--concurrency", "16"]);
    eventually("it was asked", || !dx.requests().is_empty());
    // Time for requests that must not be sent.
    std::thread::sleep(Duration::from_secs(6));
    // Sixteen that were under way together, and one after a second, two and four: without that, sixteen each time.
    let asked = dx.requests().len();
    assert!((3..=24).contains(&asked), "{asked} times");
    dx.set_mode(Mode::Normal);
    eventually("DX knows of all", || dx.records().len() == 200);
    fleet.wait_until_empty();
    forwarder.stop();
}

#[test]
fn a_refusal_that_no_page_lists_may_pass_and_loses_nothing() {
    let Some(fleet) = Fleet::start("a_refusal_that_no_page_lists_may_pass_and_loses_nothing") else {
        return;
    };
    let (dx, forwarder) = (&fleet.ci.dx, fleet.forward(&[]));
    let strange = || Mode::NotOk {
        code: "moon_phase".to_owned(),
        status: 200,
    };
    dx.misbehave_for("run-0", strange(), Times::Always);
    dx.misbehave_for("run-1", strange(), Times::Next(2));
    publish(&fleet, 3);
    eventually("DX knows of the others", || dx.records().len() == 2);
    let asked = || {
        let requests = dx.requests();
        requests
            .iter()
            .filter(|request| request.json()["reference_id"] == "run-0")
            .count()
    };
    eventually("it is tried more often than thrice", || asked() > 3);
    assert_eq!(fleet.refused(), 0);
    dx.set_mode(Mode::Normal);
    eventually("DX knows of all", || dx.records().len() == 3);
    fleet.wait_until_empty();
    forwarder.stop();
}
