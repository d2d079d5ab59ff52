//! The answer of a hook in a guest's memory, which tests can change.
//!
//! Offsets are those of the canonical ABI for `result<verdict, list<violation>>`.

use crate::hostile::module::Module;
use std::fmt::Write;

/// The address of the answer.
const AT: usize = 1024;
/// The address of its texts.
const TEXTS: usize = AT + 256;

/// Offsets of a run's fields within the answer.
pub const PIPELINE_NAME: usize = 16;
pub const PIPELINE_SOURCE: usize = 24;
pub const REFERENCE_ID: usize = 32;
pub const STARTED_AT: usize = 40;
pub const FINISHED_AT: usize = 48;
pub const STATUS: usize = 60;
pub const COMMIT_SHA: usize = 76;
pub const PR_NUMBER: usize = 88;
pub const HEAD_BRANCH: usize = 116;
pub const EMAIL: usize = 128;
pub const ATTRIBUTES: usize = 164;
/// Offset of a report's jobs.
pub const JOBS: usize = 176;
/// Offset of the fields of one job, behind the report.
const JOB: usize = 192;
pub const JOB_NAME: usize = JOB + 8;
pub const JOB_STATUS: usize = JOB + 16;
pub const JOB_STARTED_AT: usize = JOB + 20;
pub const JOB_FINISHED_AT: usize = JOB + 32;
/// Offset of the verdict's discriminant.
pub const VERDICT: usize = 8;
/// Offset of a discard's reason.
pub const REASON: usize = 16;
/// Offset of a refusal's list.
pub const VIOLATIONS: usize = 8;

/// Offsets in the answer of a source: the translation's discriminant, its list or reason, and the text of a refusal.
pub const TRANSLATION: usize = 4;
pub const TRANSLATED: usize = 8;
pub const REFUSAL: usize = 4;
/// Offset of the first notification, behind the answer, and of its fields.
const NOTIFICATION: usize = 16;
pub const OF_REFERENCE_ID: usize = NOTIFICATION + 24;
pub const OF_ALLOWED_TO_FAIL: usize = NOTIFICATION + 196;
pub const OF_ATTRIBUTES: usize = NOTIFICATION + 200;

/// An answer that can be changed.
pub struct Image {
    fixed: [u8; 256],
    texts: Vec<u8>,
}

impl Image {
    /// All zeros: a report of a run without any field.
    pub fn empty() -> Self {
        Self {
            fixed: [0; 256],
            texts: Vec::new(),
        }
    }

    /// A correct report of the run in the question.
    pub fn report() -> Self {
        Self::empty()
            .text(PIPELINE_NAME, b"build")
            .text(PIPELINE_SOURCE, b"Tekton")
            .text(REFERENCE_ID, b"r/1")
            .text(STARTED_AT, b"2025-01-01T12:05:00Z")
    }

    /// A correct report of that run and one job.
    pub fn job() -> Self {
        Self::report()
            .pointer(JOBS, (AT + JOB) as u32, 1)
            .text(JOB, b"j")
            .text(JOB_NAME, b"lint")
    }

    /// A correct report whose run has one attribute.
    pub fn attribute(key: &[u8], value: &[u8]) -> Self {
        Self::report()
            .pointer(ATTRIBUTES, (AT + JOB) as u32, 1)
            .text(JOB, key)
            .text(JOB + 8, value)
    }

    /// A discard for this reason.
    pub fn discard(reason: &[u8]) -> Self {
        Self::empty().byte(VERDICT, 2).text(REASON, reason)
    }

    /// A refusal with one violation: its fault, field and message.
    pub fn refusal(fault: u8, field: &[u8], message: &[u8]) -> Self {
        // The list's one element follows the answer itself.
        Self::empty()
            .byte(0, 1)
            .pointer(VIOLATIONS, (AT + 64) as u32, 1)
            .byte(64, fault)
            .text(68, field)
            .text(76, message)
    }

    /// The translation of a delivery into this number of notifications, all that are in memory empty.
    pub fn translation(count: u32) -> Self {
        Self::empty().pointer(TRANSLATED, (AT + NOTIFICATION) as u32, count)
    }

    /// A delivery ignored for this reason.
    pub fn ignored(reason: &[u8]) -> Self {
        Self::empty().byte(TRANSLATION, 1).text(TRANSLATED, reason)
    }

    /// A delivery refused for this reason.
    pub fn refused(reason: &[u8]) -> Self {
        Self::empty().byte(0, 1).text(REFUSAL, reason)
    }

    pub fn byte(mut self, offset: usize, value: u8) -> Self {
        self.fixed[offset] = value;
        self
    }

    /// A text: its address and length, and its bytes behind the answer.
    pub fn text(mut self, offset: usize, text: &[u8]) -> Self {
        let at = TEXTS + self.texts.len();
        self.texts.extend_from_slice(text);
        self.pointer(offset, at as u32, text.len() as u32)
    }

    /// A text that may be absent, present.
    pub fn option(self, offset: usize, text: &[u8]) -> Self {
        self.byte(offset, 1).text(offset + 4, text)
    }

    pub fn pointer(mut self, offset: usize, address: u32, length: u32) -> Self {
        self.fixed[offset..offset + 4].copy_from_slice(&address.to_le_bytes());
        self.fixed[offset + 4..offset + 8].copy_from_slice(&length.to_le_bytes());
        self
    }

    /// A data segment with the answer, for a module whose hook answers `(i32.const 1024)`.
    pub fn data(&self) -> String {
        let mut bytes = String::new();
        for byte in self.fixed.iter().chain(&self.texts) {
            let _ = write!(bytes, "\\{byte:02x}");
        }
        format!(r#"(data (i32.const {AT}) "{bytes}")"#)
    }

    /// A guest of four pages whose `step` returns this answer.
    pub fn module(&self) -> Module {
        Module {
            pages: 4,
            ..Module::step("(i32.const 1024)", &self.data())
        }
    }

    /// The result of such a guest.
    pub fn told(&self) -> String {
        crate::hostile::asking::step_of(&self.module())
    }

    /// The result of such a policy, whose answer the rules check.
    pub fn told_as_policy(&self) -> String {
        crate::hostile::asking::policy_step(&self.module())
    }
}
