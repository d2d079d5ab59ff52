//! The built-in policy: rules of an operator's file that drop, hash, map, rename, set, require and discard.
#![warn(missing_docs)]

mod bindings;
