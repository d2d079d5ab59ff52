//! The types and traits generated from `wit/`. They are compiled natively too, so that tests call the rules directly.
#![allow(
    unsafe_code,
    missing_docs,
    reason = "generated: the canonical ABI works on raw memory"
)]

wit_bindgen::generate!({
    path: "../../wit",
    world: "policy-with-checks",
    additional_derives: [PartialEq, Eq, Hash],
    additional_type_attributes: {
        "pipefold:ci/types@0.2.0/notification": [#[derive(Default)]],
    },
});
