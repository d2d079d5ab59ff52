//! Filters by commit, pull request and time, totals, and the names that are offered.

use super::listing::{by, named};
use super::support::{access, append, at, ended, fresh, open, page, references, running, take_back, wait};
use crate::access::Rights;
use crate::store::{RunFilter, Store};
use pipefold_sandbox::{Notification, Status};

#[test]
fn a_run_is_found_by_commit_request_and_time() {
    let (_dir, store) = fresh();
    named(&store);
    let of = |set: &dyn Fn(&mut RunFilter)| references(&store, by(set));
    for (commit, expected) in [
        ("3", vec!["r3"]),
        ("3ABC", vec!["r3"]),
        ("3ABCdef01234", vec![]),
        ("4A%", vec![]),
    ] {
        assert_eq!(of(&|f| f.commit = Some(commit.into())), expected, "{commit}");
    }
    append(
        &store,
        Notification {
            commit_sha: Some("feedcafe".into()),
            ..running("api", "r5", 0)
        },
        1_000_000,
    );
    for commit in ["FEED", "feedcafe", "FeedCafe"] {
        assert_eq!(of(&|f| f.commit = Some(commit.into())), ["r5"], "{commit}");
    }
    assert_eq!(of(&|f| f.pr_number = Some(4)), ["r4"]);
    assert_eq!(of(&|f| f.from = Some(at(3 * 86_400))), ["r4", "r3"]);
    assert_eq!(of(&|f| f.until = Some(at(3 * 86_400))), ["r2", "r1", "r5"]);
    let between = |f: &mut RunFilter| (f.from, f.until) = (Some(at(86_400)), Some(at(3 * 86_400)));
    assert_eq!(of(&between), ["r2", "r1"]);
    let with_text = |text: &str| {
        of(&|f| {
            between(f);
            f.text = Some(text.into());
        })
    };
    assert_eq!(
        (with_text("r1"), with_text("r4")),
        (vec!["r1".to_owned()], vec![]),
        "a whole reference"
    );
    // The silence of those that did not finish.
    let silent = |seconds| of(&|f| f.stale_before = Some(at(seconds)));
    assert_eq!((silent(1_000_000), silent(1_000_001)), (vec![], vec!["r5".to_owned()]));
    let active = |seconds| {
        of(&|f| {
            f.status = Some(Status::Running);
            f.active_since = Some(at(seconds));
        })
    };
    assert_eq!((active(1_000_000), active(1_000_001)), (vec!["r5".to_owned()], vec![]));
}

#[test]
fn runs_of_an_older_version_are_found_too() {
    let (dir, store) = fresh();
    named(&store);
    drop(store);
    take_back(dir.path(), "");
    let store = open(dir.path());
    let of = |set: &dyn Fn(&mut RunFilter)| references(&store, by(set));
    assert_eq!(of(&|f| f.commit = Some("3ABC".into())), ["r3"]);
    assert_eq!(of(&|f| f.pr_number = Some(2)), ["r2"]);
    assert_eq!(of(&|f| f.repository = Some("Acme/Shop".into())), ["r2", "r1"]);
    assert_eq!(of(&|f| f.source = Some("Tekton".into())).len(), 4);
}

#[test]
fn totals_are_of_all_that_fit_and_may_be_seen() {
    let (_dir, store) = fresh();
    for n in 0..60 {
        let one = Notification {
            head_branch: Some(if n % 3 == 0 { "main" } else { "fix" }.into()),
            email: Some("ann@x.org".into()),
            github_username: Some("ann".into()),
            ..ended(
                if n % 2 == 0 { "web" } else { "api" },
                &format!("r{n}"),
                n,
                if n % 5 == 0 { "failure" } else { "success" },
            )
        };
        append(&store, one, 1000);
    }
    let total = |globs: &[&str], set: &dyn Fn(&mut RunFilter)| {
        let mut query = by(|filter| {
            filter.parts = true;
            set(filter);
        });
        query.access = access(Rights::Read, globs);
        let page = page(&store, query.clone());
        assert!(page.runs.len() <= 2);
        let total = page.total.unwrap();
        // It is the number of runs that all pages have.
        assert_eq!(references(&store, query).len() as u64 == total.runs, total.is_all);
        (total.runs, page.of)
    };
    let all: [&str; 1] = ["*"];
    assert_eq!(total(&all, &|_| ()), (60, 60));
    assert_eq!(total(&["w*"], &|_| ()), (30, 30));
    assert_eq!(total(&all, &|f| f.branch = Some("main".into())), (20, 60));
    assert_eq!(total(&["w*"], &|f| f.branch = Some("main".into())), (10, 30));
    assert_eq!(total(&all, &|f| f.status = Some(Status::Failure)), (12, 60));
    assert_eq!(
        total(&all, &|f| f.person = Some("an".into())),
        (60, 60),
        "one run by two names"
    );
    assert_eq!(total(&all, &|f| f.from = Some(at(50))), (10, 60));
    let both = |f: &mut RunFilter| {
        f.branch = Some("main".into());
        f.status = Some(Status::Failure);
        f.pipeline = Some("w".into());
    };
    assert_eq!(total(&all, &both), (2, 60));
    assert_eq!(total(&all, &|f| f.branch = Some("none".into())), (0, 60));
    // More branches than are read one by one.
    for n in 0..40 {
        let one = Notification {
            head_branch: Some(format!("topic-{n}")),
            ..running("web", &format!("t{n}"), n)
        };
        append(&store, one, 1000);
    }
    assert_eq!(total(&all, &|f| f.branch = Some("topic".into())), (40, 100));
    assert_eq!(total(&all, &|f| f.branch = Some("topic-1".into())), (1, 100));
    assert_eq!(total(&all, &|f| f.branch = Some("OPIC-1".into())), (11, 100));
    // A search reads no further than its page.
    let mut search = by(|filter| filter.text = Some("topic".into()));
    assert!(!page(&store, search.clone()).total.unwrap().is_all);
    search.filter.text = Some("59".into());
    assert_eq!(page(&store, search.clone()).total.unwrap().runs, 1);
    search.after = Some("5.5".parse().unwrap());
    assert_eq!(page(&store, search).total, None, "of the first page only");
}

#[test]
fn the_names_of_new_runs_are_offered() {
    let (_dir, store) = fresh();
    named(&store);
    let names = wait(store.names(crate::access::Access::everything())).unwrap();
    assert_eq!(names.pipelines, ["api", "web-shop/ci"]);
    assert_eq!(names.branches, ["Mainly", "main", "maintenance"]);
    assert_eq!(names.people, ["ben", "Anna@x.org", "anna"]);
    assert_eq!((names.repositories.len(), names.sources.len()), (2, 1));
    let some = wait(store.names(access(Rights::Read, &["api"]))).unwrap();
    assert_eq!(
        (some.pipelines.len(), some.branches.len(), some.people.len()),
        (1, 2, 1)
    );
}

#[test]
fn a_name_that_comes_later_or_changes_is_found() {
    let (_dir, store) = fresh();
    append(&store, running("web", "r", 100), 1000);
    let with = |branch: &str, started| Notification {
        head_branch: Some(branch.into()),
        email: Some("ann@x.org".into()),
        github_username: Some("ann".into()),
        gitlab_username: Some("a.nn".into()),
        repository: Some("acme/shop".into()),
        commit_sha: Some("abc123".into()),
        pr_number: Some(7),
        pipeline_source: Some("Zuul".into()),
        ..running("web", "r", started)
    };
    append(&store, with("fix", 100), 1001);
    let of = |set: &dyn Fn(&mut RunFilter)| references(&store, by(set)).len();
    assert_eq!(of(&|f| f.branch = Some("fix".into())), 1);
    for person in ["ann@x.org", "ann", "a.nn"] {
        assert_eq!(of(&|f| f.person = Some(person.into())), 1, "{person}");
    }
    assert_eq!(of(&|f| f.repository = Some("acme/shop".into())), 1);
    assert_eq!(of(&|f| f.commit = Some("abc".into())), 1);
    assert_eq!(of(&|f| f.pr_number = Some(7)), 1);
    assert_eq!(
        (
            of(&|f| f.source = Some("Zuul".into())),
            of(&|f| f.source = Some("Tekton".into()))
        ),
        (1, 0)
    );
    // The greater one is kept; an earlier start moves the run.
    append(&store, with("main", 50), 1002);
    let branches = ["fix", "main"].map(|branch| of(&|f| f.branch = Some(branch.into())));
    assert_eq!(branches, [0, 1]);
    assert_eq!(
        (of(&|f| f.until = Some(at(60))), of(&|f| f.from = Some(at(60)))),
        (1, 0)
    );
}
