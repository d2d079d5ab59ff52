//! How large a document may be. Each bound is far above what servers send, and keeps memory and time small.

/// The longest document, in bytes. A page of a feed has 50 KiB; a run with the commits of a year, each with its files, some MiB.
pub const MAX_BYTES: usize = 32 * 1024 * 1024;

/// The deepest nesting. GoCD's documents have 8 levels at most.
pub const MAX_DEPTH: usize = 32;

/// The most elements. A document of the longest length has about 300,000 if it is full of changed files; what is kept of as many empty
/// changes is some 50 MiB.
pub const MAX_ELEMENTS: usize = 300_000;

/// The most attributes of an element. GoCD's have 6 at most.
pub const MAX_ATTRIBUTES: usize = 32;

/// The longest text of an element or an attribute that is kept, in bytes: a link with four escaped names of the greatest length fits. A
/// change's message is cut here, for nothing hangs on it.
pub const MAX_TEXT: usize = 64 * 1024;
