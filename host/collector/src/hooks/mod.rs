//! Webhooks of CI systems.
//!
//! - [`signature`]: the proof that a delivery comes from a system that knows the secret.

pub mod signature;
