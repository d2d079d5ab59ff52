//! The limits of fields, attributes and histories.

/// The largest size of a field, in bytes: longer than any name, branch or address in use.
pub const MAX_FIELD_BYTES: usize = 4096;

/// The most notifications a run may have: thousands of steps, and still a call of milliseconds.
pub const MAX_HISTORY_NOTIFICATIONS: usize = 10_000;

/// The largest size of all texts of a run together, in bytes: twice the size of as many usual notifications of 400 bytes,
/// and a fraction of the memory and the copying that the sandbox allows.
pub const MAX_HISTORY_BYTES: usize = 8 * 1024 * 1024;

/// The most attributes of a notification, and of a run: facts for people, not data.
pub const MAX_ATTRIBUTES: usize = 32;

/// The largest size of an attribute's key, in bytes.
pub const MAX_ATTRIBUTE_KEY_BYTES: usize = 64;

/// The largest size of an attribute's value, in bytes: an address or a line, and 32 of them are a few fields.
pub const MAX_ATTRIBUTE_VALUE_BYTES: usize = 1024;
