//! The exports of the WebAssembly component, without any mapping.
#![allow(unsafe_code, reason = "the generated exports are functions of raw memory")]

use crate::bindings::exports::pipefold::ci::translating;
use crate::{Delivery, Translation, translate};

struct Component;

impl translating::Guest for Component {
    fn translate(delivery: Delivery) -> Result<Translation, String> {
        translate(&delivery)
    }
}

crate::bindings::export!(Component with_types_in crate::bindings);
