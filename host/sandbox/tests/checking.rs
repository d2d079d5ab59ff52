//! Policies that check their own settings when they are loaded.

use crate::{
    guests,
    place::{FORWARD, Place},
};
use pipefold_sandbox::{Compiler, Grants, LoadError, Policy};
use std::{collections::BTreeMap, sync::Arc};
use wit_component::StringEncoding;

const CHECK: &str = "pipefold:ci/checking@0.2.0#check";
const CONFIG: &str = r#"(import "pipefold:ci/config@0.2.0" "get" (func $get (param i32 i32 i32)))"#;

/// The module of a policy whose `check` has this body; the result is the address of the list.
fn module(check: &str) -> String {
    let more = format!(
        r#"(data (i32.const 2000) "playground")
        (data (i32.const 2100) "write\0athe branch\1b[31m")
        (func (export "{CHECK}") (result i32) {check})"#
    );
    guests::policy_module(FORWARD, CONFIG, &more)
}

fn policy(check: &str) -> Vec<u8> {
    guests::component(&module(check), "policy-with-checks")
}

/// Loads a policy that may read `playground` with this value.
fn load(place: &Place, component: &[u8], playground: Option<&str>) -> Result<(), LoadError> {
    let config = playground.map(|value| ("playground".to_owned(), value.to_owned()));
    let policy = Policy {
        grants: Grants {
            config: Some(Arc::new(BTreeMap::from_iter(config))),
            ..Grants::default()
        },
        ..Policy::new("p")
    };
    let file = place.write("policy.wasm", component);
    place
        .sandbox
        .policy(&policy, &file, Some(&place.cache()), &Compiler::Here)
        .map(|_| ())
}

fn error(check: &str) -> String {
    load(&Place::new(), &policy(check), None).unwrap_err().to_string()
}

/// Returns this many problems, with the key `playground` and the message above.
fn problems(count: usize) -> String {
    format!(
        "(local $at i32)
        (i32.store (i32.const 1024) (i32.const 4096))
        (i32.store (i32.const 1028) (i32.const {count}))
        (local.set $at (i32.const 4096))
        (loop $next
            (i32.store (local.get $at) (i32.const 2000))
            (i32.store offset=4 (local.get $at) (i32.const 10))
            (i32.store offset=8 (local.get $at) (i32.const 2100))
            (i32.store offset=12 (local.get $at) (i32.const 21))
            (local.set $at (i32.add (local.get $at) (i32.const 16)))
            (br_if $next (i32.lt_u (local.get $at) (i32.const {end}))))
        (i32.const 1024)",
        end = 4096 + 16 * count
    )
}

const NO_PROBLEM: &str = "(i32.store (i32.const 1028) (i32.const 0)) (i32.const 1024)";

#[test]
fn a_policy_without_problems_loads() {
    let place = Place::new();
    load(&place, &policy(NO_PROBLEM), None).unwrap();
    // From the cache too.
    load(&place, &policy(NO_PROBLEM), None).unwrap();
}

#[test]
fn problems_are_listed_in_one_line_and_harmless() {
    let Err(LoadError::Settings { plugin, problems }) = load(&Place::new(), &policy(&problems(25)), None) else {
        panic!("it was loaded");
    };
    assert_eq!((plugin.as_str(), problems.len()), ("policy p", 20));
    assert_eq!(problems[0].key, "playground");
    assert!(!problems[0].message.chars().any(char::is_control), "{:?}", problems[0]);
    let told = error(&self::problems(2));
    assert!(
        told.starts_with("policy p: its settings are wrong: playground: write"),
        "{told}"
    );
    assert!(
        told.contains("; playground: ") && !told.chars().any(char::is_control),
        "{told}"
    );
}

#[test]
fn long_problems_are_cut() {
    let long = "(i32.store (i32.const 1024) (i32.const 4096))
        (i32.store (i32.const 1028) (i32.const 1))
        (i32.store (i32.const 4096) (i32.const 5000))
        (i32.store (i32.const 4100) (i32.const 60000))
        (i32.store (i32.const 4104) (i32.const 5000))
        (i32.store (i32.const 4108) (i32.const 60000))
        (memory.fill (i32.const 5000) (i32.const 120) (i32.const 60000))
        (i32.const 1024)";
    let told = error(long);
    assert!((300..600).contains(&told.chars().count()), "{}", told.len());
}

#[test]
fn the_check_sees_the_settings() {
    // One problem, unless `playground` is set: an option's first byte.
    let check = format!(
        "(local $at i32)
        (call $get (i32.const 2000) (i32.const 10) (i32.const 3000))
        (if (i32.load8_u (i32.const 3000)) (then {NO_PROBLEM} (return)))
        {}",
        problems(1).replace("(local $at i32)", "")
    );
    let place = Place::new();
    load(&place, &policy(&check), Some("sandpit")).unwrap();
    assert!(load(&place, &policy(&check), None).is_err());
}

#[test]
fn a_check_that_fails_is_named() {
    assert_eq!(
        error("unreachable"),
        "policy p: check crashed: wasm trap: wasm `unreachable` instruction executed"
    );
    assert_eq!(
        error("(loop (br 0)) unreachable"),
        "policy p: check was stopped after 250 ms, its time limit"
    );
    let asks = "(call $next (i32.const 8192) (i32.const 1024)) (i32.const 1024)";
    let told = error(asks);
    assert!(
        told.starts_with("policy p: check gave a bad answer: ") && told.ends_with("there is no next plugin"),
        "{told}"
    );
    let outside = error(
        "(i32.store (i32.const 1024) (i32.const 4096)) (i32.store (i32.const 1028) (i32.const 1000000)) (i32.const 1024)",
    );
    assert!(outside.starts_with("policy p: check "), "{outside}");
}

#[test]
fn a_check_of_another_type_is_refused_before_it_is_compiled() {
    let (mut resolve, package) = guests::contract();
    let interface = resolve
        .interfaces
        .iter()
        .find(|(_, interface)| interface.name.as_deref() == Some("checking"))
        .map(|(id, _)| id)
        .unwrap();
    resolve.interfaces[interface].functions["check"].result = Some(wit_parser::Type::String);
    let component = guests::component_of(
        &module(NO_PROBLEM),
        "policy-with-checks",
        StringEncoding::UTF8,
        &resolve,
        package,
    );
    let place = Place::new();
    let why = "it exports pipefold:ci/checking@0.2.0 with another type of check";
    assert_eq!(
        load(&place, &component, None).unwrap_err().to_string(),
        format!("policy p: it does not load: {why}")
    );
    assert!(place.entries().is_empty());
    let found = pipefold_sandbox::inspect::inspect(&place.path("policy.wasm").into(), 1 << 20).unwrap();
    assert_eq!((found.fit.loads, found.fit.obstacles), (false, vec![why.to_owned()]));
}
