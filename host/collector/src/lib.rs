//! A DX-compatible server that stores, shows and forwards pipeline runs.
//!
//! - [`store`]: notifications as they came, and the runs that they fold into.
//! - [`access`]: tokens, and what each may write and see.

pub mod access;
pub mod store;
