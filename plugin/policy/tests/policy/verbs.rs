//! Each verb, with each kind of field.

use crate::support::{attribute, decided, event, judged, passed, policy, step, steps};
use pipefold_policy::{Known, Notification, Outcome};

const KEY: (&str, &str) = ("key.1", "0123456789abcdef");

#[test]
fn drop_removes_fields_and_attributes() {
    let dropped = |rules: &str| passed(&policy(rules, &[]), event());
    assert_eq!(
        dropped(r#"[{"drop": "email"}]"#),
        Notification { email: None, ..event() }
    );
    let all = r#"[{"drop": ["pr_number", "source_url", "head_branch", "email", "github_username", "gitlab_username", "attributes.team"]}]"#;
    assert_eq!(
        dropped(all),
        Notification {
            pr_number: None,
            source_url: None,
            head_branch: None,
            email: None,
            github_username: None,
            gitlab_username: None,
            attributes: vec![attribute("queue", "large")],
            ..event()
        }
    );
    assert_eq!(
        dropped(r#"[{"drop": "attributes.*"}]"#),
        Notification {
            attributes: vec![],
            ..event()
        }
    );
    // A commit and a pull request go with their repository.
    let without = Notification {
        repository: None,
        commit_sha: None,
        pr_number: None,
        ..event()
    };
    assert_eq!(dropped(r#"[{"drop": "repository"}]"#), without);
    assert!(judged(&[without], Known::Part).is_ok());
    assert_eq!(
        dropped(r#"[{"drop": "repository"}, {"set": "repository", "to": "a/b"}]"#),
        Notification {
            repository: Some("a/b".into()),
            ..event()
        }
    );
    // Without a rule about the repository, the sender's fault stays.
    let faulty = Notification {
        repository: None,
        ..event()
    };
    let left = passed(&policy(r#"[{"drop": "email"}]"#, &[]), faulty);
    assert_eq!(left.commit_sha.as_deref(), Some("abcdef1"));
}

#[test]
fn dropping_the_id_of_a_step_leaves_its_name() {
    let given = Notification {
        step_id: Some("7".into()),
        ..step("lint")
    };
    assert_eq!(passed(&policy(r#"[{"drop": "step_id"}]"#, &[]), given), step("lint"));
}

#[test]
fn keep_drops_every_other_optional_field() {
    let kept = passed(
        &policy(r#"[{"keep": ["repository", "commit_sha", "attributes.team"]}]"#, &[]),
        event(),
    );
    let expected = Notification {
        pr_number: None,
        source_url: None,
        head_branch: None,
        email: None,
        github_username: None,
        gitlab_username: None,
        attributes: vec![attribute("team", "web")],
        ..event()
    };
    assert_eq!(kept, expected);
    let names = Notification {
        repository: None,
        commit_sha: None,
        attributes: vec![],
        ..expected
    };
    assert_eq!(passed(&policy(r#"[{"keep": "pipeline_name"}]"#, &[]), event()), names);
    let attributes = passed(&policy(r#"[{"keep": "attributes.*"}]"#, &[]), event()).attributes;
    assert_eq!(attributes, event().attributes);
}

#[test]
fn hash_is_one_of_a_person_in_every_field() {
    let rules = r#"[{"hash": ["github_username", "attributes.user", "head_branch"], "key": "hash.key"}]"#;
    let given = Notification {
        head_branch: Some(" MONA ".into()),
        attributes: vec![attribute("user", "Mona"), attribute("user", "other")],
        ..event()
    };
    let hashed = passed(&policy(rules, &[KEY]), given.clone());
    // printf %s mona | openssl dgst -sha256 -hmac 0123456789abcdef | cut -c1-32
    let hash = "55ec2d44f9c7f964f08871410ee1cfaf";
    assert_eq!(hashed.github_username.as_deref(), Some(hash));
    assert_eq!(hashed.head_branch.as_deref(), Some(hash));
    assert_eq!(hashed.attributes[0], attribute("user", hash));
    assert_ne!(hashed.attributes[1].value, hash);
    assert_eq!(hashed.email, given.email);
    let other = passed(&policy(rules, &[("key.1", "0123456789abcdeX")]), given);
    assert_ne!(other.github_username, hashed.github_username);
    // A blank field stays absent.
    let blank = Notification {
        github_username: Some(" ".into()),
        ..event()
    };
    assert_eq!(
        passed(&policy(rules, &[KEY]), blank).github_username.as_deref(),
        Some(" ")
    );
}

#[test]
fn map_takes_the_targets_of_the_settings() {
    let values = [
        ("values.1.mona", "m.lisa"),
        ("values.1.MONA.GL", "exact"),
        ("values.1.gone", ""),
        ("values.2.mona", "not this rule's"),
    ];
    let map = |rules: &str, user: &str| {
        let given = Notification {
            github_username: Some(user.into()),
            ..event()
        };
        passed(&policy(rules, &values), given).github_username
    };
    let keep = r#"[{"map": "github_username", "file": "users.csv"}]"#;
    let drop = r#"[{"map": "github_username", "values": {}, "else": "drop"}]"#;
    for (rules, user, expected) in [
        (keep, "mona", Some("m.lisa")),
        (keep, " Mona ", Some("m.lisa")),
        (keep, "MONA.GL", Some("exact")),
        (keep, "mona.gl", Some("mona.gl")),
        (keep, "other", Some("other")),
        (keep, "gone", None),
        (drop, "mona", Some("m.lisa")),
        (drop, "other", None),
    ] {
        assert_eq!(map(rules, user).as_deref(), expected, "{rules} {user}");
    }
    // A target is made to fit, and a run without a name is not reported.
    let long = "x".repeat(5000);
    let values = [
        ("values.1.a", " \u{200b}"),
        ("values.1.b", "x\u{1b}[2Jy"),
        ("values.1.c", long.as_str()),
    ];
    let rules = policy(r#"[{"map": "pipeline_name", "file": "names.csv"}]"#, &values);
    let named = |name: &str| Notification {
        pipeline_name: Some(name.into()),
        ..event()
    };
    assert_eq!(
        decided(&rules, vec![named("a")], Known::Part),
        "rule 1 (map): nothing is left of pipeline_name"
    );
    assert_eq!(passed(&rules, named("b")).pipeline_name.as_deref(), Some("x[2Jy"));
    assert_eq!(
        passed(&rules, named("c")).pipeline_name.map(|name| name.len()),
        Some(4096)
    );
}

#[test]
fn rename_rewrites_what_matches() {
    let renamed = |rule: &str, given: &str| {
        let given = Notification {
            pipeline_name: Some(given.into()),
            ..event()
        };
        passed(
            &policy(&format!("[{{\"rename\": \"pipeline_name\", {rule}}}]"), &[]),
            given,
        )
        .pipeline_name
        .unwrap()
    };
    for (rule, given, expected) in [
        (r#""regex": "^mono/(.+)$", "to": "$1""#, "mono/api", "api"),
        (r#""regex": "^mono/(.+)$", "to": "$1""#, "other", "other"),
        (r#""regex": ["^a-", "^b-"], "to": """#, "b-a-x", "a-x"),
        (r#""regex": "(?i)TEST", "to": "check""#, "test-Test", "check-check"),
        (r#""glob": "mono/*", "to": "*""#, "mono/api", "api"),
        (r#""glob": ["mono/*/x", "*-*"], "to": "team *""#, "mono/api", "mono/api"),
        (
            r#""glob": ["mono/*/x", "mono-*"], "to": "team *""#,
            "mono-api",
            "team api",
        ),
        (r#""is": "mono/api", "to": "$1 *""#, "mono/api", "$1 *"),
    ] {
        assert_eq!(renamed(rule, given), expected, "{rule}");
    }
    let cut = renamed(r#""regex": "^.*$", "to": "$0$0""#, &"é".repeat(2000));
    assert_eq!(cut, "é".repeat(2048));
    let empty = policy(r#"[{"rename": "pipeline_name", "regex": "^mono/.*", "to": ""}]"#, &[]);
    let reason = "rule 1 (rename): nothing is left of pipeline_name";
    assert_eq!(decided(&empty, vec![event()], Known::Part), reason);
    assert_eq!(decided(&empty, vec![step("a"), event()], Known::All), reason);
    // An optional field becomes absent.
    let rules = policy(
        r#"[{"rename": ["email", "attributes.team"], "regex": ".*", "to": ""}]"#,
        &[],
    );
    let left = passed(&rules, event());
    assert_eq!((left.email, left.attributes), (None, vec![attribute("queue", "large")]));
    // A repository that becomes absent takes its commit with it.
    let rules = policy(r#"[{"rename": "repository", "glob": "getdx/*", "to": ""}]"#, &[]);
    let left = passed(&rules, event());
    assert_eq!((left.repository, left.commit_sha, left.pr_number), (None, None, None));
}

#[test]
fn rename_and_map_know_steps() {
    let rules = policy(
        r#"[{"rename": ["step", "step_id"], "regex": "^(ci-|x)", "to": ""}]"#,
        &[],
    );
    let given = |name: &str, id: Option<&str>| Notification {
        step_id: id.map(Into::into),
        ..step(name)
    };
    assert_eq!(passed(&rules, given("ci-lint", None)), step("lint"));
    assert_eq!(passed(&rules, given("ci-lint", Some("x7"))), given("lint", Some("7")));
    assert_eq!(passed(&rules, given("ci-lint", Some("x"))), step("lint"));
    // Nothing is left of the name: the step is left out, and the run goes on.
    assert_eq!(
        decided(&rules, vec![given("x", Some("7"))], Known::Part),
        "rule 1 (rename): it leaves out this step"
    );
    assert_eq!(
        steps(&rules, vec![step("x"), event(), step("ci-a"), step("x"), step("b")]),
        ["", "a", "b"]
    );
}

#[test]
fn set_replaces_and_default_fills_in() {
    let set = policy(
        r#"[{"set": "repository", "to": "a/b"}, {"set": "attributes.team", "to": "infra"}, {"set": "attributes.new", "to": "1"}]"#,
        &[],
    );
    let left = passed(&set, event());
    assert_eq!(left.repository.as_deref(), Some("a/b"));
    assert_eq!(
        left.attributes,
        [
            attribute("new", "1"),
            attribute("team", "infra"),
            attribute("queue", "large")
        ]
    );
    let default = policy(
        r#"[{"default": "email", "to": "ci@example.com"}, {"default": "attributes.team", "to": "infra"}]"#,
        &[],
    );
    assert_eq!(passed(&default, event()), event());
    let bare = Notification {
        email: Some("\u{200b}".into()),
        attributes: vec![],
        ..event()
    };
    let left = passed(&default, bare.clone());
    assert_eq!(left.email.as_deref(), Some("ci@example.com"));
    assert_eq!(left.attributes, [attribute("team", "infra")]);
    // A run has one value: what one notification of it has is no reason for a default in another.
    let history = vec![bare.clone(), event()];
    assert_eq!(
        default.judge(history.clone(), Known::All),
        Outcome::Pass {
            events: history,
            hold: false
        }
    );
}

#[test]
fn an_attribute_that_is_set_has_room() {
    let many = |count: usize| Notification {
        attributes: (0..count).map(|n| attribute(&format!("k{n}"), "v")).collect(),
        ..event()
    };
    let rules = policy(
        r#"[{"set": "attributes.team", "to": "x"}, {"set": "attributes.k31", "to": "y"}]"#,
        &[],
    );
    let left = passed(&rules, many(32));
    assert_eq!(left.attributes.len(), 32);
    assert!(left.attributes.contains(&attribute("team", "x")) && left.attributes.contains(&attribute("k31", "y")));
    assert!(judged(&[left], Known::Part).is_ok());
    // Too many were given: that stays the sender's fault.
    assert!(judged(&[passed(&rules, many(33))], Known::Part).is_err());
}

#[test]
fn require_holds_until_the_run_has_ended() {
    let rules = policy(r#"[{"require": ["commit_sha", "attributes.team"]}]"#, &[]);
    let bare = Notification {
        commit_sha: Some(" ".into()),
        ..event()
    };
    assert_eq!(decided(&rules, vec![event()], Known::Part), "passed");
    assert_eq!(decided(&rules, vec![bare.clone()], Known::Part), "held");
    assert_eq!(decided(&rules, vec![bare.clone(), event()], Known::All), "passed");
    assert_eq!(
        decided(&rules, vec![bare.clone(), bare], Known::All),
        "rule 1 (require): there is no commit_sha"
    );
    for field in [
        "pr_number",
        "reference_id",
        "pipeline_name",
        "head_branch",
        "email",
        "source_url",
    ] {
        let rules = policy(&format!("[{{\"require\": \"{field}\"}}]"), &[]);
        assert_eq!(decided(&rules, vec![event()], Known::Part), "passed", "{field}");
        assert_eq!(
            decided(&rules, vec![Notification::default()], Known::Part),
            "held",
            "{field}"
        );
    }
}

#[test]
fn discard_drops_runs_by_any_notification() {
    let rules = policy(
        r#"[{"discard": "head_branch", "glob": ["dependabot/*", "renovate/*"]}, {"discard": "github_username", "glob": "*[bot]", "is": "ci"}, {"discard": "pr_number", "regex": "^4"}]"#,
        &[],
    );
    let on = |branch: &str| Notification {
        head_branch: Some(branch.into()),
        pr_number: None,
        ..event()
    };
    let reason = "rule 1 (discard): head_branch matches";
    assert_eq!(decided(&rules, vec![on("main")], Known::Part), "passed");
    assert_eq!(decided(&rules, vec![on("renovate/x")], Known::Part), reason);
    assert_eq!(
        decided(&rules, vec![on("main"), on("dependabot/x")], Known::All),
        reason
    );
    for user in ["dependabot[bot]", "ci"] {
        let by = Notification {
            github_username: Some(user.into()),
            ..on("main")
        };
        assert_eq!(
            decided(&rules, vec![by], Known::Part),
            "rule 2 (discard): github_username matches"
        );
    }
    assert_eq!(
        decided(&rules, vec![event()], Known::Part),
        "rule 3 (discard): pr_number matches"
    );
    let absent = Notification {
        head_branch: None,
        ..on("x")
    };
    assert_eq!(decided(&rules, vec![absent], Known::All), "passed");
}

#[test]
fn only_drops_what_does_not_match() {
    let rules = policy(r#"[{"only": "head_branch", "is": "main", "regex": "^release-"}]"#, &[]);
    let on = |branch: Option<&str>| Notification {
        head_branch: branch.map(Into::into),
        ..event()
    };
    let other = "rule 1 (only): head_branch does not match";
    assert_eq!(decided(&rules, vec![on(Some("main"))], Known::Part), "passed");
    assert_eq!(
        decided(&rules, vec![on(Some("release-1")), on(None)], Known::All),
        "passed"
    );
    assert_eq!(decided(&rules, vec![on(Some("x"))], Known::Part), other);
    assert_eq!(
        decided(&rules, vec![on(Some("main")), on(Some("x"))], Known::All),
        other
    );
    assert_eq!(decided(&rules, vec![on(None)], Known::Part), "held");
    assert_eq!(
        decided(&rules, vec![on(None)], Known::All),
        "rule 1 (only): there is no head_branch"
    );
}

#[test]
fn steps_are_chosen_one_by_one() {
    let history = || vec![event(), step("lint"), step("test-1"), step("test-2"), event()];
    let only = policy(r#"[{"only": "step", "glob": "test-*"}]"#, &[]);
    assert_eq!(steps(&only, history()), ["", "test-1", "test-2", ""]);
    assert_eq!(
        decided(&only, vec![step("lint")], Known::Part),
        "rule 1 (only): it leaves out this step"
    );
    assert_eq!(decided(&only, vec![event()], Known::Part), "passed");
    assert_eq!(
        decided(&only, vec![step("lint")], Known::All),
        "rule 1 (only): no step is left"
    );
    let discard = policy(r#"[{"discard": "step", "is": ["lint", "test-1"]}]"#, &[]);
    assert_eq!(steps(&discard, history()), ["", "test-2", ""]);
    // A step's id is its name, where it has no other.
    let by_id = policy(r#"[{"discard": "step_id", "is": ["lint", "7"]}]"#, &[]);
    let mut with_id = history();
    with_id[2].step_id = Some("7".into());
    with_id[3].step_id = Some("lint-2".into());
    assert_eq!(steps(&by_id, with_id), ["", "test-2", ""]);
}

#[test]
fn rules_run_in_the_order_written() {
    let rename = r#"{"rename": "head_branch", "glob": "feature/*", "to": "*"}"#;
    let discard = r#"{"discard": "head_branch", "is": "x"}"#;
    let on = Notification {
        head_branch: Some("feature/x".into()),
        ..event()
    };
    let order = |one: &str, two: &str| decided(&policy(&format!("[{one},{two}]"), &[]), vec![on.clone()], Known::Part);
    assert_eq!(order(rename, discard), "rule 2 (discard): head_branch matches");
    assert_eq!(order(discard, rename), "passed");
}

#[test]
fn an_empty_history_is_the_next_plugins_to_refuse() {
    let rules = policy(r#"[{"require": "commit_sha"}]"#, &[]);
    assert_eq!(decided(&rules, vec![], Known::All), "passed");
}
