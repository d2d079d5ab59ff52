//! The built-in policy as a component: its imports, its rules' faults, and its place in a chain.

use crate::place::Place;
use pipefold_sandbox::{
    BUILT_IN_POLICY_SHA256, Chain, ChainDigest, Compiler, Deadline, Grants, Limits, LoadError, LoadedPolicy,
    Notification, Policy, PolicyComponent, Question, Report, Role, Sandbox, Verdict, inspect::inspect,
};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

fn settings(rules: &str) -> Policy {
    let config = [
        ("rules", rules),
        ("key.1", "0123456789abcdef"),
        ("values.2.mona", "m.lisa"),
    ];
    let config = config.map(|(key, value)| (key.to_owned(), value.to_owned()));
    Policy {
        grants: Grants {
            config: Some(Arc::new(BTreeMap::from(config))),
            ..Grants::default()
        },
        ..Policy::new("rules")
    }
}

fn load(place: &Place, rules: &str) -> Result<LoadedPolicy, LoadError> {
    let never = Deadline::never();
    let cache = place.cache();
    place
        .sandbox
        .built_in_policy_by(&settings(rules), Some(&cache), &Compiler::Here, &never)
}

fn chain(place: &Place, rules: &str) -> Chain {
    let loaded = load(place, rules).unwrap();
    Chain::new(vec![loaded.link], place.sandbox.default_plugin().unwrap()).unwrap()
}

fn event() -> Notification {
    Notification {
        pipeline_name: Some("mono/build".into()),
        pipeline_source: Some("Tekton".into()),
        reference_id: Some("r/1".into()),
        started_at: Some("2025-01-01T12:05:00Z".into()),
        email: Some("mona@example.com".into()),
        github_username: Some("Mona".into()),
        ..Notification::default()
    }
}

fn reported(verdict: Verdict) -> Report {
    match verdict {
        Verdict::Report(report) => report,
        other => panic!("{other:?}"),
    }
}

#[test]
fn it_imports_the_next_plugin_and_its_settings_alone() {
    let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/component/policy.wasm"));
    let found = inspect(&file.into(), 1 << 20).unwrap();
    let mut imports: Vec<&str> = found.imports.iter().map(|item| item.name.as_str()).collect();
    imports.sort_unstable();
    assert_eq!(
        imports,
        [
            "pipefold:ci/config@0.2.0",
            "pipefold:ci/hooks@0.2.0",
            "pipefold:ci/types@0.2.0"
        ]
    );
    assert_eq!(found.sha256, BUILT_IN_POLICY_SHA256);
    assert_eq!((found.fit.role, found.fit.loads), (Role::Policy, true));
    assert_eq!(found.fit.grants, ["config"]);
}

#[test]
fn it_is_compiled_once_and_called_from_the_cache() {
    let place = Place::new();
    let cache = place.cache();
    let rules = r#"[{"drop": "email"}]"#;
    let early = place
        .sandbox
        .built_in_policy_if_compiled(&settings(rules), Some(&cache), &Compiler::Here);
    assert!(early.unwrap().is_none());
    let over = Deadline::never();
    over.set(Instant::now());
    let unfinished = place
        .sandbox
        .built_in_policy_by(&settings(rules), Some(&cache), &Compiler::Here, &over);
    assert!(unfinished.err().unwrap().is_unfinished());
    let first = place
        .sandbox
        .precompile_built_in_policy(&cache, &Compiler::Here)
        .unwrap();
    assert!(first.compiled && first.code_size > 100_000);
    assert!(!load(&place, rules).unwrap().compiled);
    let ready = place
        .sandbox
        .built_in_policy_if_compiled(&settings(rules), Some(&cache), &Compiler::Here);
    assert_eq!(ready.unwrap().unwrap().sha256, BUILT_IN_POLICY_SHA256);
}

#[test]
fn its_rules_apply_in_every_hook() {
    let place = Place::new();
    let chain = chain(
        &place,
        r#"[{"hash": "email", "key": "hash.key"}, {"map": "github_username", "values": {}},
            {"rename": "pipeline_name", "glob": "mono/*", "to": "*"}, {"discard": "head_branch", "is": "x"},
            {"only": "step", "glob": "t*"}, {"set": "attributes.team", "to": "web"}]"#,
    );
    let urgent = Notification {
        step: Some("test".into()),
        urgent: true,
        ..event()
    };
    let left_out = Notification {
        step: Some("lint".into()),
        ..event()
    };
    let history = [event(), left_out.clone(), urgent.clone()];
    let verdicts = [
        Question::PipelineStart(&event()),
        Question::Step(&urgent),
        Question::PipelineFinish(&history),
    ]
    .map(|question| reported(chain.ask(&question).unwrap()));
    for Report { run, .. } in &verdicts {
        assert_eq!(run.pipeline_name, "build");
        // printf %s mona@example.com | openssl dgst -sha256 -hmac 0123456789abcdef | cut -c1-32
        assert_eq!(run.email.as_deref(), Some("ce6219c97086a04b513792b15421a32a"));
        assert_eq!(run.github_username.as_deref(), Some("m.lisa"));
        assert_eq!(run.attributes[0].value, "web");
    }
    let jobs: Vec<&str> = verdicts[2].jobs.iter().map(|job| job.name.as_str()).collect();
    assert_eq!(jobs, ["test"]);
    let dropped = |verdict| assert!(matches!(verdict, Ok(Verdict::Discard(_))), "{verdict:?}");
    dropped(chain.ask(&Question::Step(&left_out)));
    let on_x = Notification {
        head_branch: Some("x".into()),
        ..event()
    };
    dropped(chain.ask(&Question::PipelineStart(&on_x)));
    dropped(chain.ask(&Question::PipelineFinish(&[event(), on_x])));
    // A refusal is the sender's fault, as without the policy.
    let refused = chain.ask(&Question::PipelineStart(&Notification::default()));
    assert!(refused.unwrap_err().is_refusal());
}

#[test]
fn what_it_holds_is_shown_to_the_rules() {
    let place = Place::new();
    let chain = chain(&place, r#"[{"drop": "email"}, {"require": "commit_sha"}]"#);
    let answered = chain.ask_and_see(&Question::PipelineStart(&event())).unwrap();
    assert_eq!(answered.verdict, Verdict::Hold);
    let seen = answered.seen.unwrap();
    assert_eq!((seen.len(), &seen[0].email), (1, &None));
    let ended = chain.ask(&Question::PipelineFinish(&[event()])).unwrap();
    assert_eq!(
        ended,
        Verdict::Discard("rule 2 (require): there is no commit_sha".into())
    );
}

#[test]
fn faults_of_its_rules_keep_it_from_loading() {
    let place = Place::new();
    let Err(LoadError::Settings { problems, .. }) =
        load(&place, r#"[{"drop": "emial"}, {"only": "step", "regex": "("}]"#)
    else {
        panic!("it was loaded");
    };
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        [
            "rules[1].drop: there is no field \"emial\"; did you mean `email`?",
            "rules[2].regex: \"(\" is no regular expression here: found open group without closing ')'"
        ]
    );
    let bare = Policy::new("rules");
    let never = Deadline::never();
    let refused = place
        .sandbox
        .built_in_policy_by(&bare, Some(&place.cache()), &Compiler::Here, &never);
    assert!(
        refused
            .err()
            .unwrap()
            .to_string()
            .contains("grant `config` to allow it")
    );
}

#[test]
fn a_record_is_bound_to_the_rules_and_not_to_the_component() {
    let place = Place::new();
    let of = |rules: &str| ChainDigest::of([(&settings(rules), &PolicyComponent::BuiltIn)]);
    let rules = r#"[{"drop": "email"}]"#;
    assert_eq!(chain(&place, rules).digest(), of(rules));
    assert_ne!(of(r#"[{"drop": "repository"}]"#), of(rules));
    // The same in the next version of pipefold.
    assert_eq!(
        of(rules).to_string(),
        "75324fff6139bd296208167426a54a782806df5086d2648ad7bed7dcafb1d0f5"
    );
}

#[test]
fn the_largest_history_takes_a_part_of_its_time() {
    let place = Place::new();
    let rules = r#"[{"drop": "email"}, {"map": "github_username", "values": {}},
        {"rename": "pipeline_name", "regex": "^mono/(.+)$", "to": "$1"}, {"set": "repository", "to": "a/b"},
        {"discard": "head_branch", "glob": ["dependabot/*", "renovate/*"]}]"#;
    let mut policy = settings(rules);
    // A busy machine takes longer; the times are printed.
    policy.limits.hook = Duration::from_secs(20);
    let sandbox = Sandbox::new(Limits {
        chain: Duration::from_secs(20),
        ..Limits::default()
    })
    .unwrap();
    let loaded = sandbox.built_in_policy_by(&policy, Some(&place.cache()), &Compiler::Here, &Deadline::never());
    let chain = Chain::new(vec![loaded.unwrap().link], sandbox.default_plugin().unwrap()).unwrap();
    let one = Notification {
        head_branch: Some("main".into()),
        ..event()
    };
    let history = vec![one.clone(); 10_000];
    let began = Instant::now();
    chain.ask(&Question::PipelineFinish(&history)).unwrap();
    println!("ten thousand notifications: {:?}", began.elapsed());
    let began = Instant::now();
    for _ in 0..200 {
        chain.ask(&Question::PipelineStart(&one)).unwrap();
    }
    println!("a call: {:?}", began.elapsed() / 200);
}
