//! The functions of the header.
//!
//! The names and comments here are those of `include/pipefold.h`, which cbindgen makes of this file.
#![allow(unsafe_code, non_camel_case_types)]
// The duties of a caller are in the header, for all functions together.
#![allow(clippy::missing_safety_doc)]

use crate::answer::{self, Fault};
use crate::config::{self, MAX_CONFIG};
use crate::host::Host;
use crate::log::Log;
use crate::{guard, handles, read};
use pipefold::Reporter;
use serde_json::Value;
use std::ffi::{CStr, CString, c_char, c_void};
use std::slice;
use std::sync::Arc;

/// The number of this interface. A program that was compiled for a number runs with every library of the same number; functions may be added
/// without another number.
pub const PIPEFOLD_ABI: u32 = 1;

/// The version of the library that this header belongs to: its first number.
pub const PIPEFOLD_VERSION_MAJOR: u32 = 0;
/// The second number of the version.
pub const PIPEFOLD_VERSION_MINOR: u32 = 1;
/// The third number of the version.
pub const PIPEFOLD_VERSION_PATCH: u32 = 0;

/// The result of a call: one of the numbers below. A later library may have further ones: treat them as PIPEFOLD_FAILED.
pub type pipefold_status = i32;

/// The call did what it is for.
pub const PIPEFOLD_OK: pipefold_status = 0;
/// The notification breaks rules, and nothing was recorded: the answer has the `violations`.
pub const PIPEFOLD_REFUSED: pipefold_status = 1;
/// An argument, the configuration or the JSON is wrong: the answer names the key or the field.
pub const PIPEFOLD_INVALID: pipefold_status = 2;
/// The library could not do it: the answer says why.
pub const PIPEFOLD_FAILED: pipefold_status = 3;
/// The process was forked after pipefold_open, and this is the child, which has no part of the library: call pipefold_open after fork.
pub const PIPEFOLD_FORKED: pipefold_status = 4;

/// A log message about a fault. A later library may have further levels.
pub const PIPEFOLD_LOG_ERROR: i32 = 1;
/// A log message about a fault that stopped nothing.
pub const PIPEFOLD_LOG_WARN: i32 = 2;
/// A log message that is a remark.
pub const PIPEFOLD_LOG_INFO: i32 = 3;
/// A log message for finding faults.
pub const PIPEFOLD_LOG_DEBUG: i32 = 4;
/// A log message for finding faults, with every detail.
pub const PIPEFOLD_LOG_TRACE: i32 = 5;

/// An open reporter. Any thread may use it, and any number at once.
pub struct pipefold_reporter {
    _private: [u8; 0],
}

/// A receiver of log messages, with the `context` that pipefold_open was given. It is called at the end of a call of the library, by the
/// thread of that call, and by several threads at once if calls are. `message` is one line of UTF-8, and good until it returns. It may call the
/// library. It must return: no exception, no longjmp.
pub type pipefold_log = Option<unsafe extern "C" fn(context: *mut c_void, level: i32, message: *const c_char)>;

/// Returns PIPEFOLD_ABI of the library that is loaded. A program stops here if it was compiled for another.
#[unsafe(no_mangle)]
pub extern "C" fn pipefold_abi() -> u32 {
    PIPEFOLD_ABI
}

/// Returns the library's version, such as "0.2.0". Do not free it.
#[unsafe(no_mangle)]
pub extern "C" fn pipefold_version() -> *const c_char {
    VERSION.as_ptr().cast()
}

/// With the NUL at its end.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");

// The header has numbers, which cbindgen does not compute.
const _: () = assert!(
    is_number(env!("CARGO_PKG_VERSION_MAJOR"), PIPEFOLD_VERSION_MAJOR)
        && is_number(env!("CARGO_PKG_VERSION_MINOR"), PIPEFOLD_VERSION_MINOR)
        && is_number(env!("CARGO_PKG_VERSION_PATCH"), PIPEFOLD_VERSION_PATCH),
    "the numbers of the version above are not those of the package"
);

const fn is_number(text: &str, number: u32) -> bool {
    matches!(u32::from_str_radix(text, 10), Ok(read) if read == number)
}

/// Opens a reporter.
///
/// `config` has `length` bytes of JSON: an object with the keys of pipefold.toml, and `token` and `cache`. No variable of the environment
/// is then asked but those about a proxy. If it is NULL, the reporter is made as the command makes it: of the variables, the files of settings
/// and the CI system of this process.
///
/// `log` may be NULL. On PIPEFOLD_OK, `*reporter` is the reporter, and else it is NULL.
///
/// `*answer` is set, here and in every function with this argument, to a text that pipefold_free takes back: one line of JSON as UTF-8, with NUL
/// at its end. With another status than PIPEFOLD_OK it has `error`. Give NULL for `answer` if it is not wanted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pipefold_open(
    config: *const c_char,
    length: usize,
    log: pipefold_log,
    context: *mut c_void,
    reporter: *mut *mut pipefold_reporter,
    answer: *mut *mut c_char,
) -> pipefold_status {
    // SAFETY: the caller's `answer` is NULL or a place for a pointer.
    unsafe { clear(answer) };
    if reporter.is_null() || !reporter.is_aligned() {
        let fault = Fault::Invalid("`reporter` is no place for a pointer".into());
        // SAFETY: as above.
        return unsafe { give(answer, Err(fault)) };
    }
    // SAFETY: the caller's `reporter` is a place for a pointer, and was checked as far as it can be.
    unsafe { reporter.write(std::ptr::null_mut()) };
    let mut opened = None;
    let call = || {
        guard::enter_first()?;
        guard::silence_panics();
        let config = match config.is_null() && length == 0 {
            true => None,
            // SAFETY: the caller's `config` has this length.
            false => Some(unsafe { input(config, length, MAX_CONFIG, "the configuration") }?),
        };
        let log = Log::new(log.map(|function| Callback { function, context }));
        let host = config::open(config, &log);
        if host.is_err() {
            log.give();
        }
        let (host, value) = host?;
        let handle = handles::add(host);
        opened = Some(handle);
        Ok(value)
    };
    let result = guard::caught(call);
    if let (Some(handle), true) = (opened, result.is_ok()) {
        // SAFETY: as above.
        unsafe { reporter.write(std::ptr::without_provenance_mut(handle)) };
        if let Some(host) = handles::get(handle) {
            let _ = guard::caught(|| {
                host.give_log();
                Ok(())
            });
        }
    }
    // SAFETY: as above.
    unsafe { give(answer, result) }
}

/// Reports the start of a run: records it, and delivers within the start budget. `notification` has `length` bytes of JSON: an object with the
/// fields of `pipefold hook`. Fields that it lacks are taken from the configuration; `started_at` is now if absent.
///
/// The answer is the receipt. PIPEFOLD_OK says that the notification was accepted: whether it is on disk and was delivered is in the receipt.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pipefold_start(
    reporter: *mut pipefold_reporter,
    notification: *const c_char,
    length: usize,
    answer: *mut *mut c_char,
) -> pipefold_status {
    // SAFETY: the caller's arguments are as the header says.
    unsafe {
        call(
            reporter,
            notification,
            length,
            "the notification",
            answer,
            |host, input| host.report(input, Reporter::start),
        )
    }
}

/// Reports the start or the end of a step: records it, and delivers only if it is `urgent`. Otherwise as pipefold_start.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pipefold_step(
    reporter: *mut pipefold_reporter,
    notification: *const c_char,
    length: usize,
    answer: *mut *mut c_char,
) -> pipefold_status {
    // SAFETY: the caller's arguments are as the header says.
    unsafe {
        call(
            reporter,
            notification,
            length,
            "the notification",
            answer,
            |host, input| host.report(input, Reporter::step),
        )
    }
}

/// Reports the end of a run: records it, and delivers the whole run within the finish budget. `finished_at` is now if absent. Otherwise as
/// pipefold_start.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pipefold_finish(
    reporter: *mut pipefold_reporter,
    notification: *const c_char,
    length: usize,
    answer: *mut *mut c_char,
) -> pipefold_status {
    // SAFETY: the caller's arguments are as the header says.
    unsafe {
        call(
            reporter,
            notification,
            length,
            "the notification",
            answer,
            |host, input| host.report(input, Reporter::finish),
        )
    }
}

/// Delivers everything that waits. `options` has `length` bytes of JSON, or is NULL: an object with `timeout` ("30s" by default), `run` (the
/// `reference_id` of the only run), `other_tokens`, `rejudge`, `rejected` and `abandon`, as the flags of `pipefold flush`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pipefold_flush(
    reporter: *mut pipefold_reporter,
    options: *const c_char,
    length: usize,
    answer: *mut *mut c_char,
) -> pipefold_status {
    let none = options.is_null() && length == 0;
    let options = if none { c"".as_ptr() } else { options };
    // SAFETY: the caller's arguments are as the header says.
    unsafe {
        call(reporter, options, length, "the options", answer, |host, input| {
            host.flush((!none).then_some(input))
        })
    }
}

/// Folds notifications of one run into the run and its jobs, by DX's rule: `history` has `length` bytes of JSON, an array of notifications.
/// Nothing is recorded or sent.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pipefold_merge(
    reporter: *mut pipefold_reporter,
    history: *const c_char,
    length: usize,
    answer: *mut *mut c_char,
) -> pipefold_status {
    // SAFETY: the caller's arguments are as the header says.
    unsafe { call(reporter, history, length, "the history", answer, Host::merge) }
}

/// Frees an answer of this library, once. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pipefold_free(answer: *mut c_char) {
    if !answer.is_null() {
        // SAFETY: it is what `CString::into_raw` gave, by the header.
        drop(unsafe { CString::from_raw(answer) });
    }
}

/// Closes a reporter. What it recorded and did not send stays on disk. NULL, a reporter that was closed, and a forked process are ignored.
/// Calls under way in other threads finish; the log callback may be called until the last of them has returned.
#[unsafe(no_mangle)]
pub extern "C" fn pipefold_close(reporter: *mut pipefold_reporter) {
    let _ = guard::caught(|| {
        guard::enter()?;
        if let Some(host) = handles::remove(reporter.addr()) {
            host.give_log();
        }
        Ok(())
    });
}

/// A callback and what its host gave with it.
pub struct Callback {
    function: unsafe extern "C" fn(context: *mut c_void, level: i32, message: *const c_char),
    context: *mut c_void,
}

// SAFETY: by the header, any thread may call the function with its context, also several at once.
unsafe impl Send for Callback {}
// SAFETY: as above.
unsafe impl Sync for Callback {}

impl Callback {
    /// Gives it a message. No lock may be held, as it may call the library.
    pub fn call(&self, level: i32, message: &CStr) {
        // SAFETY: by the header, the function may be called until the calls of its reporter have ended, and a log lives no longer.
        unsafe { (self.function)(self.context, level, message.as_ptr()) };
    }
}

/// One call of a reporter.
///
/// # Safety
/// `text` has `length` bytes, which do not change; `answer` is NULL or a place for a pointer.
unsafe fn call(
    reporter: *mut pipefold_reporter,
    text: *const c_char,
    length: usize,
    what: &str,
    answer: *mut *mut c_char,
    function: impl FnOnce(&Host, &[u8]) -> Result<Value, Fault>,
) -> pipefold_status {
    // SAFETY: the same demand.
    unsafe { clear(answer) };
    let mut host: Option<Arc<Host>> = None;
    let result = guard::caught(|| {
        guard::enter()?;
        let open = handles::get(reporter.addr());
        let open = open.ok_or_else(|| Fault::Invalid("`reporter` is NULL, or was closed, or is none".into()))?;
        let host = host.insert(open);
        // SAFETY: the same demand.
        let input = unsafe { input(text, length, (read::MAX_INPUT, read::TOO_LARGE), what) }?;
        function(host, input)
    });
    let _ = guard::caught(|| {
        if let Some(host) = host {
            host.give_log();
        }
        Ok(())
    });
    // SAFETY: the same demand.
    unsafe { give(answer, result) }
}

/// The bytes of an argument.
///
/// # Safety
/// `text` is NULL or has `length` bytes, which do not change in the lifetime of the result.
unsafe fn input<'a>(
    text: *const c_char,
    length: usize,
    (most, too_large): (usize, &str),
    what: &str,
) -> Result<&'a [u8], Fault> {
    if text.is_null() {
        return Err(Fault::Invalid(format!("{what} is NULL")));
    }
    if length > most {
        return Err(Fault::Invalid(format!("{what} {too_large}")));
    }
    // SAFETY: by the demand; bytes need no alignment, and the length is far below the most that a slice may have.
    Ok(unsafe { slice::from_raw_parts(text.cast(), length) })
}

/// Sets an answer to NULL.
///
/// # Safety
/// `answer` is NULL or a place for a pointer.
unsafe fn clear(answer: *mut *mut c_char) {
    if !answer.is_null() && answer.is_aligned() {
        // SAFETY: by the demand, and as checked.
        unsafe { answer.write(std::ptr::null_mut()) };
    }
}

/// Gives the answer to the caller, and returns its status.
///
/// # Safety
/// `answer` is NULL or a place for a pointer.
unsafe fn give(answer: *mut *mut c_char, result: Result<Value, Fault>) -> pipefold_status {
    if !answer.is_null() && !answer.is_aligned() {
        return PIPEFOLD_INVALID;
    }
    let made = guard::caught(|| {
        let (status, text) = answer::answer(result);
        // JSON has no NUL.
        let text = CString::new(text).map_err(|error| Fault::Failed(error.to_string()))?;
        Ok((status, text))
    });
    let Ok((status, text)) = made else {
        return PIPEFOLD_FAILED;
    };
    if !answer.is_null() {
        // SAFETY: by the demand, and as checked.
        unsafe { answer.write(text.into_raw()) };
    }
    status
}
