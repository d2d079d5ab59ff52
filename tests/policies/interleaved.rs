//! Any order of commands with any policies, in one spool: nothing leaves but through what it was recorded under, and nothing is lost.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use crate::place::{EMAIL, HEAD_BRANCH, redact, write};
use pipefold_tests::killing::KILL_AT;
use pipefold_tests::{Ci, Mode, Pipefold, SpoolContent, binary};
use proptest::prelude::*;

/// Runs that the commands are about.
const RUNS: usize = 3;
/// Histories in `make test`; `PROPTEST_CASES` sets another number.
const CASES: u32 = 8;

/// The policies of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chain {
    None,
    /// Takes out the e-mail address.
    Emails,
    /// Takes out the branch.
    Branches,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Start,
    Step,
    UrgentStep,
    Finish,
    Exec,
    /// An `exec` with a step inside whose variables name other policies.
    Nested(Chain),
}

#[derive(Clone, Copy, Debug)]
enum Action {
    /// A command about a run, and the point at which it is killed, if it gets there.
    Report(Kind, usize, Chain, Option<u64>),
    Flush(Chain),
    Rejudge(Chain),
    /// Waiting records are carried to another machine, which delivers with these policies.
    Carry(Chain),
    Outage(bool),
}

fn chain() -> impl Strategy<Value = Chain> {
    prop_oneof![Just(Chain::None), Just(Chain::Emails), Just(Chain::Branches)]
}

fn action() -> impl Strategy<Value = Action> {
    let kind = prop_oneof![
        2 => Just(Kind::Start),
        2 => Just(Kind::Step),
        2 => Just(Kind::UrgentStep),
        2 => Just(Kind::Finish),
        1 => Just(Kind::Exec),
        2 => chain().prop_map(Kind::Nested),
    ];
    let kill = prop_oneof![3 => Just(None), 1 => (1..14u64).prop_map(Some)];
    prop_oneof![
        9 => (kind, 0..RUNS, chain(), kill).prop_map(|(kind, run, chain, kill)| Action::Report(kind, run, chain, kill)),
        2 => chain().prop_map(Action::Flush),
        1 => prop_oneof![Just(Chain::Emails), Just(Chain::Branches)].prop_map(Action::Rejudge),
        1 => chain().prop_map(Action::Carry),
        3 => any::<bool>().prop_map(Action::Outage),
    ]
}

/// A report: its number, in the e-mail address and the branch, and the chain that binds it.
struct Reported {
    number: usize,
    run: usize,
    bound: Chain,
    /// True for a step that a build recorded without the policies of the `exec` around it: any policies of its run may send it.
    unbound_by_build: bool,
    /// Chains that the operator named in the place of the recorded one.
    replaced_by: Vec<Chain>,
}

struct Machine {
    ci: Ci,
    emails: PathBuf,
    branches: PathBuf,
    reported: Vec<Reported>,
    /// The timeout of a flush: an outage would take all of it.
    patience: &'static str,
    /// The number of requests that were checked.
    seen: usize,
    carried: usize,
}

impl Machine {
    fn new() -> Self {
        let ci = Ci::new();
        ci.budgets(200, 300, 200);
        Self {
            emails: write(&ci, "emails.wasm", &redact(EMAIL)),
            branches: write(&ci, "branches.wasm", &redact(HEAD_BRANCH)),
            ci,
            reported: Vec::new(),
            patience: "500ms",
            seen: 0,
            carried: 0,
        }
    }

    fn policy(&self, chain: Chain) -> Vec<String> {
        let file = match chain {
            Chain::None => return Vec::new(),
            Chain::Emails => &self.emails,
            Chain::Branches => &self.branches,
        };
        vec!["--policy".into(), file.display().to_string()]
    }

    fn flush(&self, chain: Chain, more: &[&str]) -> Pipefold {
        let words = ["flush", "--timeout", self.patience]
            .into_iter()
            .chain(more.iter().copied());
        let words = words.map(str::to_owned);
        self.ci.pipefold(self.policy(chain).into_iter().chain(words))
    }

    /// The number of a notification that is bound to a chain from now on.
    fn bind(&mut self, run: usize, bound: Chain) -> usize {
        let number = self.reported.len();
        self.reported.push(Reported {
            number,
            run,
            bound,
            unbound_by_build: false,
            replaced_by: Vec::new(),
        });
        number
    }

    fn fields(number: usize) -> [String; 4] {
        [
            "--email".into(),
            format!("{}@example.com", name(number)),
            "--head-branch".into(),
            format!("branch-{}", name(number)),
        ]
    }

    fn report(&mut self, kind: Kind, run: usize, chain: Chain, kill: Option<u64>) {
        let number = self.bind(run, chain);
        let mut arguments: Vec<String> = match kind {
            Kind::Start => vec!["start".into()],
            Kind::Step => ["step", "--step", "s", "--status", "success"].map(str::to_owned).into(),
            Kind::UrgentStep => ["step", "--step", "u", "--status", "success", "--now"]
                .map(str::to_owned)
                .into(),
            Kind::Finish => ["finish", "--status", "success"].map(str::to_owned).into(),
            Kind::Exec | Kind::Nested(_) => vec!["exec".into()],
        };
        arguments.extend(Self::fields(number));
        arguments.extend(self.policy(chain));
        match kind {
            Kind::Exec => arguments.extend(["--", "true"].map(str::to_owned)),
            Kind::Nested(inner) => {
                // Without policies of its own the step within belongs to the `exec` around it.
                let bound = if inner == Chain::None { chain } else { inner };
                let step = self.bind(run, bound);
                self.reported[step].unbound_by_build = inner == Chain::None;
                let words = Self::fields(step).into_iter().chain(self.policy(inner));
                let mut script = "env -u PIPEFOLD_POLICY pipefold step --step n --now".to_owned();
                for word in words {
                    write!(script, " '{word}'").unwrap();
                }
                arguments.extend([
                    "--".into(),
                    "sh".into(),
                    "-c".into(),
                    format!("{script} -- true; sleep 0.05"),
                ]);
            }
            _ => {}
        }
        let path = binary("pipefold").parent().unwrap().display().to_string();
        let command = self
            .ci
            .report_run(&format!("run-{run}"), arguments)
            .env("PATH", format!("{path}:{}", std::env::var("PATH").unwrap()));
        let output = match kill {
            None => command.run(),
            Some(at) => command.env(KILL_AT, at.to_string()).run(),
        };
        assert!(kill.is_some() || output.code == Some(0), "{output}");
        if let (Kind::Nested(Chain::None), Some(_)) = (kind, kill) {
            self.release(run, chain);
        }
    }

    /// A record that a build made without the policies of an `exec` is bound to none if the `exec` was killed before its first record.
    fn release(&mut self, run: usize, chain: Chain) {
        let content = SpoolContent::read(&self.ci.spool());
        let name = chain_name(chain);
        let mut of_run = content
            .records
            .iter()
            .filter(|record| record.field("reference_id") == format!("run-{run}"));
        if !of_run.any(|record| policies(&record.json) == name)
            && let Some(step) = self.reported.last_mut()
        {
            step.bound = Chain::None;
        }
    }

    fn play(&mut self, action: Action) {
        match action {
            Action::Report(kind, run, chain, kill) => self.report(kind, run, chain, kill),
            Action::Flush(chain) => drop(self.flush(chain, &[]).run()),
            Action::Rejudge(chain) => {
                for reported in &mut self.reported {
                    reported.replaced_by.push(chain);
                }
                drop(self.flush(chain, &["--rejudge"]).run());
            }
            Action::Carry(chain) => {
                self.carried += 1;
                let file = self.ci.directory().join(format!("export-{}", self.carried));
                let file = file.to_str().unwrap();
                self.flush(Chain::None, &["--export", file]).run().assert_code(0);
                let there = self.ci.directory().join(format!("spool-{}", self.carried));
                let import = self.flush(chain, &["--import", file]);
                drop(import.env("PIPEFOLD_SPOOL", there.display().to_string()).run());
            }
            Action::Outage(is_down) => self
                .ci
                .dx
                .set_mode(if is_down { Mode::InternalError } else { Mode::Normal }),
        }
        self.look();
    }

    /// Checks the requests that DX got since the last check.
    fn look(&mut self) {
        let requests = self.ci.dx.requests();
        for request in &requests[self.seen..] {
            let body = String::from_utf8_lossy(&request.body);
            for reported in &self.reported {
                let by_another = |chain: Chain| {
                    let is_another =
                        |other: &Reported| other.run == reported.run && ![chain, Chain::None].contains(&other.bound);
                    reported.unbound_by_build && self.reported.iter().any(is_another)
                };
                let may = |chain: Chain| {
                    reported.bound != chain || reported.replaced_by.iter().any(|by| *by != chain) || by_another(chain)
                };
                let name = name(reported.number);
                let email = body.contains(&format!("\"{name}@example.com\""));
                let branch = body.contains(&format!("\"branch-{name}\""));
                assert!(
                    !email || may(Chain::Emails),
                    "number {name} is bound to take out its address: {body}"
                );
                assert!(
                    !branch || may(Chain::Branches),
                    "number {name} is bound to take out its branch: {body}"
                );
            }
        }
        self.seen = requests.len();
    }

    /// Delivers everything by its own policies, and checks that all is there.
    fn end(&mut self) {
        self.play(Action::Outage(false));
        self.patience = "20s";
        for chain in [Chain::Emails, Chain::Branches, Chain::None] {
            self.play(Action::Flush(chain));
        }
        let content = SpoolContent::read(&self.ci.spool());
        content.assert_sound(&"in the end");
        assert!(content.rejections.is_empty(), "{content:#?}");
        let finished: BTreeSet<_> = content
            .records
            .iter()
            .filter(|record| record.hook() == "finish")
            .map(|record| (record.run.clone(), policies(&record.json)))
            .collect();
        for record in content.waiting() {
            let ended = finished.contains(&(record.run.clone(), policies(&record.json)));
            assert!(!ended && record.json["verdict"] == "hold", "still waits: {record:?}");
        }
        let replaced = self.reported.iter().any(|reported| !reported.replaced_by.is_empty());
        for run in (0..RUNS).map(|run| format!("run-{run}")) {
            let records: Vec<_> = content
                .records
                .iter()
                .filter(|r| r.field("reference_id") == run)
                .collect();
            let chains: BTreeSet<_> = records.iter().map(|record| policies(&record.json)).collect();
            let is_finished = records.iter().any(|record| record.hook() == "finish");
            if replaced || chains.len() != 1 || !is_finished {
                continue;
            }
            // The fold of what its one chain lets through: the greatest of each field.
            let (record, chain) = (self.ci.record_of(&run).to_json(), chains.first().unwrap().as_str());
            let known = |field: &str| record[field].as_str().unwrap_or_default().to_owned();
            let expected = |field: &str, taken_out_by| {
                let values = records.iter().map(|record| record.field(field));
                values
                    .max()
                    .filter(|_| chain != taken_out_by)
                    .unwrap_or_default()
                    .to_owned()
            };
            assert_eq!(known("status"), "success", "{run}: {record}");
            for (field, taken_out_by) in [("email", "emails"), ("head_branch", "branches")] {
                let known = known(field);
                // A record without policies may be sent by a process with some: DX has then less of it.
                let is_less = records.iter().any(|record| record.field(field) == known) || known.is_empty();
                let may_be_less = chain.is_empty() && is_less;
                assert!(
                    known == expected(field, taken_out_by) || may_be_less,
                    "{run} under {chain:?}: {field} is {known:?}"
                );
            }
        }
    }
}

fn chain_name(chain: Chain) -> &'static str {
    match chain {
        Chain::None => "",
        Chain::Emails => "emails",
        Chain::Branches => "branches",
    }
}

/// A number in letters of one length, so that no name is part of another.
fn name(number: usize) -> String {
    format!("n{number:03}")
}

/// The names of the policies that a record is bound to.
fn policies(record: &serde_json::Value) -> String {
    let names = record["policies"]["names"].as_array();
    let names = names.into_iter().flatten().filter_map(serde_json::Value::as_str);
    names.collect::<Vec<_>>().join(",")
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES),
        // Each takes seconds, as processes run: enough to leave out half of the commands.
        max_shrink_iters: 12,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]
    #[test]
    fn what_is_bound_stays_bound_in_any_order(actions in prop::collection::vec(action(), 6..22)) {
        let mut machine = Machine::new();
        for action in actions {
            machine.play(action);
        }
        machine.end();
    }
}

#[test]
fn a_record_without_policies_may_be_sent_through_some() {
    let mut machine = Machine::new();
    for action in [
        Action::Outage(true),
        Action::Report(Kind::Finish, 0, Chain::None, None),
        Action::Outage(false),
        Action::Flush(Chain::Emails),
    ] {
        machine.play(action);
    }
    let record = machine.ci.record_of("run-0").to_json();
    assert!(
        record["email"].is_null() && record["head_branch"].is_string(),
        "{record}"
    );
    machine.end();
}

/// The step is in a run with two kinds of policies, and the `exec` around it ended before it recorded anything.
#[test]
fn a_step_without_the_policies_of_its_exec_goes_through_some_of_its_run() {
    let mut machine = Machine::new();
    for action in [
        Action::Report(Kind::Nested(Chain::Branches), 2, Chain::Emails, None),
        Action::Report(Kind::Nested(Chain::None), 2, Chain::Branches, Some(11)),
    ] {
        machine.play(action);
    }
    machine.end();
    for upsert in machine.ci.dx.upserts() {
        let (email, branch) = (&upsert["email"], &upsert["head_branch"]);
        assert!(
            email.is_null() || branch.is_null(),
            "neither policy was asked: {upsert}"
        );
    }
}
