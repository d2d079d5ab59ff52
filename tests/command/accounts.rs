//! Several accounts at DX on one machine, with one spool: each one's runs go to it alone.

use std::collections::BTreeSet;

use pipefold_tests::{Ci, Mode, Pipefold, SpoolContent, Standin};

/// An account: where it is and how one gets in.
struct Account<'a> {
    dx: &'a Standin,
    token: &'a str,
}

impl Account<'_> {
    fn of(&self, command: Pipefold) -> Pipefold {
        command.env("DX_API_URL", self.dx.url()).env("DX_API_TOKEN", self.token)
    }

    fn runs(&self, ci: &Ci, runs: &[&str], command: &[&str]) {
        for run in runs {
            self.of(ci.report_run(run, command.iter().copied()))
                .run()
                .assert_code(0);
        }
    }

    fn flush(&self, ci: &Ci) {
        self.of(ci.pipefold(["flush", "--timeout", "20s"])).run().assert_code(0);
    }

    /// The runs that requests with its token were about, accepted or not.
    fn seen(&self) -> BTreeSet<String> {
        let bearer = format!("Bearer {}", self.token);
        let requests = self.dx.run_requests();
        let own = requests
            .iter()
            .filter(|request| request.authorization.as_deref() == Some(&bearer));
        own.map(|request| request.json()["reference_id"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn server(tokens: &[&str]) -> Standin {
    Standin::start_with(dx_standin::Options {
        tokens: tokens.iter().map(|token| (*token).to_owned()).collect(),
        tls: false,
    })
}

/// Starts, steps and finishes of both while nothing can be delivered, then again while all can, then a flush of each.
fn both_report(ci: &Ci, one: &Account<'_>, two: &Account<'_>) {
    for (mode, ones, twos) in [
        (Mode::InternalError, ["one-a", "one-b"], ["two-a", "two-b"]),
        (Mode::Normal, ["one-c", "one-d"], ["two-c", "two-d"]),
    ] {
        one.dx.set_mode(mode.clone());
        two.dx.set_mode(mode);
        for command in [&["start"][..], &["step", "--step", "s", "--now"], &["finish"]] {
            one.runs(ci, &ones, command);
            two.runs(ci, &twos, command);
        }
    }
    one.flush(ci);
    two.flush(ci);
}

#[test]
fn two_accounts_at_two_addresses_share_a_spool_and_nothing_else() {
    let ci = Ci::new();
    ci.budgets(30, 30, 30);
    let (first, second) = (server(&["alpha-token"]), server(&["beta-token"]));
    let one = Account {
        dx: &first,
        token: "alpha-token",
    };
    let two = Account {
        dx: &second,
        token: "beta-token",
    };
    both_report(&ci, &one, &two);

    assert_eq!(one.seen(), names(&["one-a", "one-b", "one-c", "one-d"]));
    assert_eq!(two.seen(), names(&["two-a", "two-b", "two-c", "two-d"]));
    let keys = |dx: &Standin| dx.records().into_keys().collect::<BTreeSet<_>>();
    assert_eq!(keys(&first), one.seen(), "all of its own arrived");
    assert_eq!(keys(&second), two.seen());
    for (dx, token) in [(&first, one.token), (&second, two.token)] {
        let bearer = format!("Bearer {token}");
        assert!(
            dx.requests()
                .iter()
                .all(|request| request.authorization.as_deref() == Some(&bearer))
        );
    }
    assert_eq!(SpoolContent::read(&ci.spool()).waiting().count(), 0);
}

#[test]
fn two_accounts_at_one_address_differ_by_their_tokens() {
    let ci = Ci::new();
    ci.budgets(30, 30, 30);
    let dx = server(&["alpha-token", "beta-token"]);
    let one = Account {
        dx: &dx,
        token: "alpha-token",
    };
    let two = Account {
        dx: &dx,
        token: "beta-token",
    };
    both_report(&ci, &one, &two);
    assert_eq!(one.seen(), names(&["one-a", "one-b", "one-c", "one-d"]));
    assert_eq!(two.seen(), names(&["two-a", "two-b", "two-c", "two-d"]));
    assert_eq!(SpoolContent::read(&ci.spool()).waiting().count(), 0);
}

#[test]
fn even_one_run_that_both_report_with_one_token_is_split() {
    let ci = Ci::new();
    let (first, second) = (server(&["shared-token"]), server(&["shared-token"]));
    let account = |dx| Account {
        dx,
        token: "shared-token",
    };
    let (one, two) = (account(&first), account(&second));
    one.runs(
        &ci,
        &["both"],
        &["step", "--step", "secret-of-one", "--email", "one@example.com"],
    );
    two.runs(
        &ci,
        &["both"],
        &["step", "--step", "secret-of-two", "--email", "two@example.com"],
    );
    one.runs(&ci, &["both"], &["finish", "--status", "success"]);
    two.runs(&ci, &["both"], &["finish", "--status", "failure"]);
    one.flush(&ci);
    two.flush(&ci);
    let (ones, twos) = (&first.records()["both"], &second.records()["both"]);
    assert_eq!(
        (ones.status.as_str(), ones.get("email")),
        ("success", Some("one@example.com"))
    );
    assert_eq!(
        (twos.status.as_str(), twos.get("email")),
        ("failure", Some("two@example.com"))
    );
}

#[test]
fn a_build_without_a_token_leaves_nothing_that_the_next_one_sends() {
    let ci = Ci::new();
    for command in ["start", "finish"] {
        let output = ci.report_run("tokenless", [command]).env_remove("DX_API_TOKEN").run();
        output.assert_code(0);
        assert!(
            output.stderr().contains("DX_API_TOKEN"),
            "it says what is missing: {output}"
        );
    }
    // The next build, with a token.
    for command in [&["start"][..], &["step", "--step", "s", "--now"], &["finish"]] {
        ci.report_run("next", command.iter().copied()).run().assert_code(0);
    }
    assert_eq!(ci.dx.records().into_keys().collect::<Vec<_>>(), ["next"]);
    let status = ci.pipefold(["status"]).run();
    status.assert_code(0);
    assert!(
        status.stdout().contains("tokenless"),
        "it is not forgotten either: {status}"
    );

    // Only on request.
    ci.pipefold(["flush", "--timeout", "20s"]).run().assert_code(0);
    assert!(ci.record_of("tokenless").finished_at.is_some());
}

#[test]
fn what_another_build_recorded_without_dx_is_sent_on_request_only() {
    let ci = Ci::new();
    let unset = |command: Pipefold| command.env_remove("DX_API_TOKEN").env_remove("DX_API_URL");
    unset(ci.report_run("nowhere", ["finish"])).run().assert_code(0);
    ci.report_run("next", ["finish"]).run().assert_code(0);
    assert_eq!(ci.dx.records().into_keys().collect::<Vec<_>>(), ["next"]);
    ci.pipefold(["flush", "--timeout", "20s"]).run().assert_code(0);
    assert!(ci.record_of("nowhere").finished_at.is_some());
}
