//! The host's log callback.
//!
//! A message waits until the call that caused it is done, and is then given to the callback by the thread of that call, or of another that
//! ends first: no lock is held then, so a callback may take its time and call the library.

use crate::abi::{
    Callback, PIPEFOLD_LOG_DEBUG, PIPEFOLD_LOG_ERROR, PIPEFOLD_LOG_INFO, PIPEFOLD_LOG_TRACE, PIPEFOLD_LOG_WARN,
};
use pipefold::foreign;
use std::cell::Cell;
use std::collections::VecDeque;
use std::ffi::CString;
use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use tracing::field::{Field, Visit};
use tracing::{Dispatch, Event, Level, Metadata, Subscriber, span};

/// The most messages that wait: more than a call has, and a bound if policies write logs while no call ends.
const MOST_WAITING: usize = 1024;

/// The messages of a reporter on their way to its host.
pub struct Log {
    callback: Option<Callback>,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    messages: VecDeque<(i32, String)>,
    left_out: usize,
}

thread_local! {
    /// True while this thread is in a callback.
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
}

impl Log {
    /// A log for this callback; without one it keeps nothing.
    pub fn new(callback: Option<Callback>) -> Arc<Self> {
        Arc::new(Self {
            callback,
            waiting: Mutex::default(),
        })
    }

    /// Adds a message.
    pub fn add(&self, level: i32, message: &str) {
        if self.callback.is_none() {
            return;
        }
        let message = foreign::excerpt(message);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.messages.len() < MOST_WAITING {
            waiting.messages.push_back((level, message));
        } else {
            waiting.left_out += 1;
        }
    }

    /// Gives the messages that wait to the callback. A call that a callback makes leaves them to the callback's own call.
    pub fn give(&self) {
        let Some(callback) = &self.callback else { return };
        if IN_CALLBACK.get() {
            return;
        }
        let Waiting { messages, left_out } =
            std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        if messages.is_empty() {
            return;
        }
        IN_CALLBACK.set(true);
        let more = (left_out > 0).then(|| (PIPEFOLD_LOG_WARN, format!("{left_out} further messages were left out")));
        for (level, message) in messages.into_iter().chain(more) {
            // An excerpt has no NUL.
            if let Ok(message) = CString::new(message) {
                callback.call(level, &message);
            }
        }
        IN_CALLBACK.set(false);
    }

    /// The receiver of this library's own events; none if there is no callback.
    pub fn dispatch(self: &Arc<Self>) -> Option<Dispatch> {
        self.callback.is_some().then(|| Dispatch::new(Events(Arc::clone(self))))
    }
}

/// Makes messages of events.
struct Events(Arc<Log>);

impl Subscriber for Events {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= Level::DEBUG
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let level = match *event.metadata().level() {
            Level::ERROR => PIPEFOLD_LOG_ERROR,
            Level::WARN => PIPEFOLD_LOG_WARN,
            Level::INFO => PIPEFOLD_LOG_INFO,
            Level::DEBUG => PIPEFOLD_LOG_DEBUG,
            Level::TRACE => PIPEFOLD_LOG_TRACE,
        };
        self.0.add(level, &format!("{}{}", line.message, line.fields));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// An event as one line: its message, and its fields behind it.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
