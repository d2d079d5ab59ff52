//! `/go/about`: where clients look up the server's version before they ask for anything else.

use super::answer;
use axum::response::Response;

/// Its address.
pub(super) const PATH: &str = "/go/about";

/// The version that is told is of the last servers that have both dialects; what is ours is said behind it.
const PAGE: &str = concat!(
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>About</title></head><body><table>\n",
    "<tr><td>Go Server Version:</td><td>20.3.0 (its Feeds API, by pipefold ",
    env!("CARGO_PKG_VERSION"),
    ")</td></tr>\n</table></body></html>\n"
);

pub(super) fn page() -> Response {
    answer::page(PAGE)
}
