//! Lists, searches and feeds.

use super::support::{access, append, at, ended, fresh, open, page, query, references, running, wait};
use crate::access::Rights;
use crate::store::sqlite::{SqliteStore, filter, list};
use crate::store::{
    Branch, FeedOrder, FeedQuery, Field, HistoryQuery, PipelineQuery, RunFilter, RunQuery, Span, Store,
};
use pipefold_sandbox::{Notification, Status};
use std::time::Duration;

pub fn by(set: impl FnOnce(&mut RunFilter)) -> RunQuery {
    let mut filter = RunFilter::default();
    set(&mut filter);
    query(filter, 2)
}

#[test]
fn newest_first_in_any_order_of_arrival_and_never_by_the_future() {
    let (_dir, store) = fresh();
    for (reference, started, arrived) in [
        ("b", 20, 100),
        ("c", 30, 101),
        ("a", 10, 102),
        ("future", 1_000_000_000, 15),
    ] {
        append(&store, running("web", reference, started), arrived);
    }
    assert_eq!(
        references(&store, query(RunFilter::default(), 200)),
        ["c", "b", "future", "a"]
    );
    for limit in [0, 1, 2, 3] {
        let mut query = query(RunFilter::default(), limit);
        query.limit = limit.max(1);
        assert_eq!(references(&store, query), ["c", "b", "future", "a"], "{limit}");
    }
    // An earlier start that comes later moves it down.
    append(&store, running("web", "c", 5), 103);
    assert_eq!(
        references(&store, query(RunFilter::default(), 200)),
        ["b", "future", "a", "c"]
    );
}

#[test]
fn runs_of_the_same_moment_are_all_shown_once() {
    let (_dir, store) = fresh();
    for n in 0..7 {
        append(&store, running("web", &format!("r{n}"), 0), 0);
    }
    let expected: Vec<_> = (0..7).rev().map(|n| format!("r{n}")).collect();
    assert_eq!(references(&store, query(RunFilter::default(), 3)), expected);
}

#[test]
fn filters_alone_and_together() {
    let (_dir, store) = fresh();
    let add = |reference: &str, n, pipeline: &str, status: &str, change: fn(&mut Notification)| {
        let mut notification = ended(pipeline, reference, n, status);
        change(&mut notification);
        append(&store, notification, 1000);
    };
    add("R-one", 1, "web", "success", |n| {
        n.head_branch = Some("main".into());
        n.email = Some("ann@x.org".into());
        n.github_username = Some("ann".into());
        n.gitlab_username = Some("ann".into());
    });
    add("R-two", 2, "web", "failure", |n| {
        n.head_branch = Some("main".into());
        n.gitlab_username = Some("ann".into());
        n.repository = Some("Acme/Shop".into());
        n.commit_sha = Some("deadbeef".into());
        n.pr_number = Some(12);
    });
    add("R-three", 3, "api", "failure", |n| {
        n.head_branch = Some(r#"fix\É"1"#.into())
    });
    add("R-four", 4, "Web", "success", |_| ());

    let of = |query| references(&store, query);
    assert_eq!(of(by(|f| f.pipeline = Some("web".into()))), ["R-two", "R-one"]);
    assert_eq!(of(by(|f| f.pipeline = Some("we".into()))), [""; 0]);
    assert_eq!(of(by(|f| f.status = Some(Status::Failure))), ["R-three", "R-two"]);
    assert_eq!(of(by(|f| f.status = Some(Status::Running))), [""; 0]);
    assert_eq!(of(by(|f| f.branch = Some("main".into()))), ["R-two", "R-one"]);
    assert_eq!(of(by(|f| f.person = Some("ann".into()))), ["R-two", "R-one"]);
    assert_eq!(of(by(|f| f.person = Some("ann@x.org".into()))), ["R-one"]);
    for (text, expected) in [
        ("r-T", vec!["R-three", "R-two"]),
        ("SHOP", vec!["R-two"]),
        ("dead", vec!["R-two"]),
        ("#12", vec!["R-two"]),
        ("12", vec![]),
        ("ann", vec!["R-two", "R-one"]),
        ("web", vec!["R-four", "R-two", "R-one"]),
        ("R-one", vec!["R-one"]),
        ("", vec!["R-four", "R-three", "R-two", "R-one"]),
        ("%", vec![]),
        ("head_branch", vec![]),
        (r#"X\é"1"#, vec!["R-three"]),
        ("É", vec!["R-three"]),
    ] {
        assert_eq!(of(by(|f| f.text = Some(text.into()))), expected, "{text}");
    }
    let together = by(|f| {
        f.branch = Some("main".into());
        f.person = Some("ann".into());
        f.status = Some(Status::Success);
    });
    assert_eq!(of(together), ["R-one"]);
    let wrong_exact = by(|f| {
        f.text = Some("R-one".into());
        f.status = Some(Status::Failure);
    });
    assert_eq!(of(wrong_exact), [""; 0], "a whole reference obeys the other filters");
}

/// Runs of two pipelines, each with all names.
pub fn named(store: &SqliteStore) {
    for (n, pipeline, branch, person) in [
        (1, "web-shop/ci", "main", "anna"),
        (2, "web-shop/ci", "maintenance", "Anna@x.org"),
        (3, "api", "main", "ben"),
        (4, "api", "Mainly", "ben"),
    ] {
        let one = Notification {
            head_branch: Some(branch.into()),
            github_username: Some(person.into()),
            repository: Some(format!("Acme/{}", if n < 3 { "Shop" } else { "api" })),
            commit_sha: Some(format!("{n}ABCdef0123")),
            pr_number: (n > 1).then_some(n),
            ..ended(pipeline, &format!("r{n}"), n * 86_400, "success")
        };
        append(store, one, 1_000_000);
    }
}

#[test]
fn a_part_of_a_name_finds_it_unless_it_is_a_name() {
    let (_dir, store) = fresh();
    named(&store);
    let seen = |globs: &[&str], set: &dyn Fn(&mut RunFilter)| {
        let mut query = by(|filter| {
            filter.parts = true;
            set(filter);
        });
        query.access = access(Rights::Read, globs);
        let parts = page(&store, query.clone()).parts;
        (references(&store, query), parts)
    };
    let of = |set: &dyn Fn(&mut RunFilter)| seen(&["*"], set);
    let runs = |runs: &[&str]| runs.iter().map(|run| (*run).to_owned()).collect::<Vec<_>>();
    assert_eq!(of(&|f| f.branch = Some("main".into())), (runs(&["r3", "r1"]), vec![]));
    assert_eq!(
        of(&|f| f.branch = Some("MAIN".into())),
        (runs(&["r4", "r3", "r2", "r1"]), vec![Field::Branch])
    );
    assert_eq!(
        of(&|f| f.pipeline = Some("web-shop".into())),
        (runs(&["r2", "r1"]), vec![Field::Pipeline])
    );
    assert_eq!(
        of(&|f| f.person = Some("NN".into())),
        (runs(&["r2", "r1"]), vec![Field::Person])
    );
    assert_eq!(of(&|f| f.person = Some("anna".into())), (runs(&["r1"]), vec![]));
    assert_eq!(
        of(&|f| f.repository = Some("shop".into())),
        (runs(&["r2", "r1"]), vec![Field::Repository])
    );
    assert_eq!(of(&|f| f.source = Some("tek".into())).1, [Field::Source]);
    let both = of(&|f| {
        f.branch = Some("tenan".into());
        f.repository = Some("Acme/Shop".into());
    });
    assert_eq!(both, (runs(&["r2"]), vec![Field::Branch]));
    // A name of a pipeline that may not be seen is none.
    assert_eq!(
        seen(&["web-*"], &|f| f.branch = Some("Mainly".into())),
        (runs(&[]), vec![Field::Branch])
    );
    assert_eq!(seen(&["web-*"], &|f| f.pipeline = Some("a".into())).0, [""; 0]);
}

#[test]
fn a_search_that_goes_on_shows_each_run_once_and_in_order() {
    let (_dir, store) = fresh();
    // Enough pipelines that the search leaves each of them after a hundred and some runs.
    for n in 0..30 {
        append(&store, running(&format!("p{n}"), &format!("first-{n}"), 0), 5000);
    }
    append(&store, running("p1", "wanted-old", 10), 5000);
    append(&store, running("p0", "wanted-new", 20), 5000);
    for n in 0..200 {
        append(&store, running("p0", &format!("other-{n}"), 100 + n), 5000);
    }
    let mut query = query(RunFilter::default(), 200);
    query.filter.text = Some("wanted".into());
    query.access = access(Rights::Read, &["p?", "p1?", "p2?"]);
    // It goes on by itself.
    assert_eq!(page(&store, query.clone()).runs.len(), 2);
    assert_eq!(references(&store, query), ["wanted-new", "wanted-old"]);
}

#[test]
fn a_token_sees_only_its_pipelines_whatever_it_asks() {
    let (_dir, store) = fresh();
    // More of each than are walked along one by one.
    for n in 0..40 {
        append(
            &store,
            ended(&format!("open-{n:02}"), &format!("o{n}"), n, "success"),
            1000,
        );
        append(
            &store,
            ended(&format!("shut-{n:02}"), &format!("s{n}"), n, "success"),
            1000,
        );
    }
    for globs in [
        vec!["open-*"],
        vec!["open-0*", "open-1?"],
        vec!["open-07"],
        vec!["none"],
        vec![],
    ] {
        let access = access(Rights::Read, &globs);
        let expected: Vec<_> = (0..40)
            .rev()
            .filter(|n| access.may_see(&format!("open-{n:02}")))
            .map(|n| format!("o{n}"))
            .collect();
        for filter in [
            RunFilter::default(),
            RunFilter {
                status: Some(Status::Success),
                ..RunFilter::default()
            },
        ] {
            let mut query = query(filter, 7);
            query.access = access.clone();
            assert_eq!(references(&store, query), expected, "{globs:?}");
        }
        for filter in [
            RunFilter {
                text: Some("s7".into()),
                ..RunFilter::default()
            },
            RunFilter {
                pipeline: Some("shut-07".into()),
                ..RunFilter::default()
            },
        ] {
            let mut query = query(filter, 7);
            query.access = access.clone();
            assert_eq!(page(&store, query).runs, [], "{globs:?}");
        }
        let pipelines = wait(store.pipelines(PipelineQuery {
            access: access.clone(),
            after: None,
            limit: 100,
        }));
        assert_eq!(pipelines.unwrap().len(), expected.len());
    }
    let mut blind = query(RunFilter::default(), 7);
    blind.access = access(Rights::Write, &["*"]);
    assert_eq!(page(&store, blind).runs, []);
}

#[test]
fn pipelines_have_counts_and_pages() {
    let (_dir, store) = fresh();
    for (n, status) in ["success", "failure", "running", "success"].into_iter().enumerate() {
        append(&store, ended("web", &format!("w{n}"), 0, status), 10);
    }
    append(&store, ended("web", "w2", 0, "cancelled"), 20);
    append(&store, running("api", "a", 0), 5);
    let some = |after: Option<&str>, limit| {
        wait(store.pipelines(PipelineQuery {
            access: crate::access::Access::everything(),
            after: after.map(str::to_owned),
            limit,
        }))
        .unwrap()
    };
    assert_eq!(some(None, 1)[0].name, "api");
    let web = &some(Some("api"), 1)[0];
    let named = |name: &str| wait(store.pipeline(name.into())).unwrap();
    assert_eq!(named("web").as_ref(), Some(web));
    assert_eq!((named("Web"), named("we"), named("")), (None, None, None));
    let counts = web.counts;
    assert_eq!(
        (
            counts.success,
            counts.failure,
            counts.cancelled,
            counts.running,
            counts.total()
        ),
        (2, 1, 1, 0, 4)
    );
    assert_eq!(counts.pass_rate(), Some(200.0 / 3.0));
    assert_eq!(
        (web.name.as_str(), web.last_counter, web.last_changed),
        ("web", 4, at(20))
    );
    assert!(some(Some("web"), 1).is_empty());
}

#[test]
fn every_list_follows_an_index_and_sorts_nothing() {
    let (dir, store) = fresh();
    append(&store, running("web", "r", 0), 0);
    drop(store);
    drop(open(dir.path()));
    let connection = rusqlite::Connection::open(dir.path().join(super::super::DATABASE_FILE)).unwrap();
    for (condition, index) in [
        ("?1 = 0", "runs_by_place"),
        ("r.pipeline = ?1", "runs_by_pipeline"),
        ("r.status = ?1", "runs_by_status"),
        ("r.branch = ?1", "runs_by_branch"),
        ("r.email = ?1", "runs_by_email"),
        ("r.github = ?1", "runs_by_github"),
        ("r.gitlab = ?1", "runs_by_gitlab"),
        ("r.repository = ?1", "runs_by_repository"),
        ("r.source = ?1", "runs_by_source"),
        ("r.commit_sha = ?1", "runs_by_commit"),
        ("r.pr_number = ?1", "runs_by_pr"),
        (filter::REFUSED, "runs_refused"),
    ] {
        for (sql, with) in [
            (list::sql(condition), format!("USING INDEX {index} ")),
            (filter::counting(condition), format!("INDEX {index} ")),
            (filter::comparing(condition), format!("INDEX {index}")),
        ] {
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let values = vec![0; statement.parameter_count()];
            let plan: Vec<String> = statement
                .query_map(rusqlite::params_from_iter(values), |row| row.get(3))
                .unwrap()
                .map(Result::unwrap)
                .collect();
            let plan = plan.join("\n");
            assert!(plan.contains(&with), "{plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{plan}");
        }
    }
}

fn feed(store: &SqliteStore, order: FeedOrder, before: Option<u64>, limit: u16) -> Vec<(String, u64, u64)> {
    let query = FeedQuery {
        pipeline: "web".into(),
        order,
        before,
        limit,
    };
    let found = wait(store.completed(query)).unwrap();
    found
        .into_iter()
        .map(|run| (run.record.reference_id, run.completion.unwrap(), run.counter))
        .collect()
}

fn names(entries: &[(String, u64, u64)]) -> Vec<&str> {
    entries.iter().map(|(name, ..)| name.as_str()).collect()
}

#[test]
fn by_completion_what_changes_comes_to_the_top_and_by_counter_it_stays() {
    let (_dir, store) = fresh();
    for name in ["a", "b", "c", "d"] {
        append(&store, running("web", name, 0), 0);
    }
    append(&store, ended("api", "other", 0, "success"), 0);
    for name in ["c", "a", "b"] {
        append(&store, ended("web", name, 0, "success"), 1);
    }
    let all = feed(&store, FeedOrder::Completion, None, 25);
    assert_eq!(names(&all), ["b", "a", "c"], "what runs is not there");
    assert!(all.is_sorted_by(|a, b| a.1 > b.1));
    assert_eq!(names(&feed(&store, FeedOrder::Counter, None, 25)), ["c", "b", "a"]);

    // The same again changes nothing; a worse status does, and so does a later finish.
    append(&store, ended("web", "c", 0, "success"), 2);
    assert_eq!(feed(&store, FeedOrder::Completion, None, 25), all);
    append(&store, ended("web", "c", 0, "failure"), 3);
    assert_eq!(names(&feed(&store, FeedOrder::Completion, None, 25)), ["c", "b", "a"]);
    append(&store, ended("web", "a", 30, "success"), 4);
    assert_eq!(names(&feed(&store, FeedOrder::Completion, None, 25)), ["a", "c", "b"]);

    let pages = |order: FeedOrder, key: fn(&(String, u64, u64)) -> u64| {
        let (mut all, mut before) = (Vec::new(), None);
        loop {
            let page = feed(&store, order, before, 1);
            let Some(last) = page.last() else { return all };
            before = Some(key(last));
            all.extend(page);
        }
    };
    assert_eq!(names(&pages(FeedOrder::Completion, |entry| entry.1)), ["a", "c", "b"]);
    assert_eq!(names(&pages(FeedOrder::Counter, |entry| entry.2)), ["c", "b", "a"]);
    for before in [0, 1] {
        assert!(feed(&store, FeedOrder::Completion, Some(before), 25).is_empty());
    }
    assert_eq!(feed(&store, FeedOrder::Completion, Some(u64::MAX), 25).len(), 3);
}

#[test]
fn stats_count_and_rank_what_started_in_each_span() {
    let (_dir, store) = fresh();
    let day = 24 * 60 * 60;
    for (reference, started, status) in [
        ("before", -1, "success"),
        ("a", 0, "success"),
        ("b", 10, "failure"),
        ("c", day - 1, "success"),
        ("d", 2 * day, "cancelled"),
        ("after", 3 * day, "success"),
    ] {
        append(&store, ended("web", reference, started, status), 10 * day);
    }
    append(&store, running("web", "e", 2 * day), 10 * day);
    let mut slow = ended("web", "b", 10, "failure");
    slow.finished_at = Some(super::support::text_at(10 + 600));
    append(&store, slow, 10 * day);
    let span = Span {
        from: at(0),
        until: at(3 * day),
        bucket: Duration::from_secs(24 * 60 * 60),
    };
    let query = HistoryQuery {
        pipeline: "web".into(),
        branch: Branch::Main,
        span,
    };
    let stats = &wait(store.history(query.clone())).unwrap().unwrap().buckets;
    let shown: Vec<_> = stats
        .iter()
        .map(|bucket| {
            (
                bucket.from,
                bucket.counts.total(),
                bucket.counts.pass_rate(),
                bucket.median,
                bucket.p90,
            )
        })
        .collect();
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(
        shown,
        [
            (at(0), 3, Some(200.0 / 3.0), seconds(60), seconds(600)),
            (at(2 * day), 2, None, None, None),
        ]
    );
    let unknown = HistoryQuery {
        pipeline: "none".into(),
        ..query.clone()
    };
    assert_eq!(wait(store.history(unknown)).unwrap(), None);
    let span = Span {
        bucket: Duration::ZERO,
        ..span
    };
    let odd = wait(store.history(HistoryQuery { span, ..query })).unwrap().unwrap();
    assert_eq!(odd.buckets.len(), 4, "a column is a second at least");
}
