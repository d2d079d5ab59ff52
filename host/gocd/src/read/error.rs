//! The errors of reading, and the bounds of a document.

use thiserror::Error;

use self::limits::{MAX_ATTRIBUTES, MAX_BYTES, MAX_DEPTH, MAX_ELEMENTS, MAX_TEXT};

/// A refused document: its kind, the place in it, and the fault.
#[derive(Debug, Error)]
#[error("{document}, line {line}{}: {fault}", Within(.element))]
pub struct ReadError {
    /// The kind of the document, such as `<stage> document`; `document` while it is unknown.
    pub document: String,
    /// The line on which reading stopped, from 1.
    pub line: usize,
    /// The name of the faulty element, if the fault is in one.
    pub element: Option<String>,
    /// The fault.
    pub fault: ReadFault,
}

struct Within<'a>(&'a Option<String>);

impl std::fmt::Display for Within<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(element) => write!(f, ", <{element}>"),
            None => Ok(()),
        }
    }
}

/// A fault of a document, and its remedy.
#[derive(Debug, Error)]
pub enum ReadFault {
    /// The bytes could not be read.
    #[error("reading failed: {0}; try again")]
    Io(#[from] std::io::Error),
    /// It is empty.
    #[error("it is empty; if it was cut off on its way, try again")]
    Empty,
    /// It is longer than [`MAX_BYTES`].
    #[error("it is longer than {MAX_BYTES} bytes, more than any feed; check the server's address")]
    TooLong,
    /// Elements are nested deeper than [`MAX_DEPTH`].
    #[error("elements are nested more than {MAX_DEPTH} deep; no GoCD server sends that, check the server's address")]
    TooDeep,
    /// There are more than [`MAX_ELEMENTS`] elements.
    #[error("there are more than {MAX_ELEMENTS} elements; no GoCD server sends that, check the server's address")]
    TooManyElements,
    /// An element has more than [`MAX_ATTRIBUTES`] attributes.
    #[error(
        "the element has more than {MAX_ATTRIBUTES} attributes; no GoCD server sends that, check the server's address"
    )]
    TooManyAttributes,
    /// A text or an attribute is longer than [`MAX_TEXT`].
    #[error("its text is longer than {MAX_TEXT} bytes, more than can be a name, a time or an address")]
    TextTooLong,
    /// It is an HTML page.
    #[error(
        "it is an HTML page; a login page or a proxy may have answered: check the server's address, the user and the password"
    )]
    Html,
    /// It is not XML.
    #[error("it is not XML; check the server's address, and whether it answered with an error")]
    NotXml,
    /// It has a document type declaration.
    #[error(
        "it has a document type declaration, which is refused because it can expand without bound; GoCD sends none, check the server's address"
    )]
    DocumentType,
    /// It is declared to be in another encoding than UTF-8.
    #[error(
        "it is encoded as {0}, not as UTF-8 as GoCD's documents are; a proxy that recodes documents must leave these alone"
    )]
    Encoding(String),
    /// It is not UTF-8.
    #[error(
        "it has bytes that are not UTF-8, the encoding of GoCD's documents; a proxy that recodes documents must leave these alone"
    )]
    NotUtf8,
    /// It ends too early.
    #[error("it ends before the element does; it was cut off on its way, try again")]
    Truncated,
    /// It is not well-formed.
    #[error("it is not well-formed XML: {0}; try again, and report it to the server's administrator if it persists")]
    Malformed(String),
    /// Content follows the document.
    #[error("there is more after the end of the document; two answers may have run together, try again")]
    Trailing,
    /// It is none of the known documents.
    #[error("this root element is none of a pipelines list, feed, pipeline, stage or job; check the server's address")]
    UnknownRoot,
    /// It is another document than the requested one.
    #[error("a <{expected}> document was expected; check the server's address, or whether a redirect led elsewhere")]
    OtherRoot {
        /// The root of the requested document.
        expected: &'static str,
    },
    /// It is a feed of Cruise 1.x or Go 2.0.
    #[error("it is a feed of Cruise 1.x or Go 2.0, whose entries do not name their runs; Go 2.1 or later is needed")]
    TooOld,
    /// A value that identifies a run is missing.
    #[error("{0} is missing, so it is unclear which run this is; GoCD servers from Go 2.1 on send it")]
    Missing(&'static str),
    /// A value that identifies a run is invalid.
    #[error("{what} is not {expected}, so it is unclear which run this is: `{value}`")]
    Unfit {
        /// The name of the value.
        what: &'static str,
        /// The expected form.
        expected: &'static str,
        /// The value, shortened.
        value: String,
    },
}

/// The bounds of a document. Each is far above what servers send, and keeps memory and time small.
pub mod limits {
    /// The longest document, in bytes. A page of a feed has 50 KiB; a run with the commits of a year, each with its files, some MiB.
    pub const MAX_BYTES: usize = 32 * 1024 * 1024;

    /// The deepest nesting. GoCD's documents have 8 levels at most.
    pub const MAX_DEPTH: usize = 32;

    /// The most elements. A document of the longest length has about 300,000 if it is full of changed files; the values read from as many
    /// empty changes take some 50 MiB.
    pub const MAX_ELEMENTS: usize = 300_000;

    /// The most attributes of an element. GoCD's have 6 at most.
    pub const MAX_ATTRIBUTES: usize = 32;

    /// The longest text of an element or an attribute that is kept, in bytes: a link with four escaped names of the greatest length fits. A
    /// change's message is cut at this length, as nothing depends on it.
    pub const MAX_TEXT: usize = 64 * 1024;
}
