//! Reader of documents: bytes to values.
//!
//! A document's root element decides its kind, whatever the server called it. It is read in one pass, without a tree, within the bounds of
//! [`limits`]. Entities beyond XML's own five cannot be declared, since a document type declaration is refused. The reader accepts what
//! real servers send: blank lines before the declaration, text wrapped over lines, a stray `>` at the end of an id, missing labels and
//! times, unknown terms, elements and attributes. It refuses whatever makes it unclear which run a document describes.

mod element;
mod error;
mod feed;
mod run;
mod scanner;

pub use error::{ReadError, ReadFault, limits};

use std::io::Read;

use self::limits::MAX_BYTES;
use self::scanner::Scanner;
use crate::documents::{Job, Material, Pipeline, Pipelines, Stage, StageEntry, StageFeed};

/// A document of the Feeds API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    /// The list of pipelines (`<pipelines>`).
    Pipelines(Pipelines),
    /// A page of a pipeline's stage feed (`<feed>`).
    Feed(StageFeed),
    /// An entry of one by itself (`<entry>`).
    Entry(StageEntry),
    /// A pipeline's run (`<pipeline>`).
    Pipeline(Pipeline),
    /// A stage's run (`<stage>`).
    Stage(Stage),
    /// A job (`<job>`).
    Job(Job),
    /// Materials (`<materials>`, or one `<material>`).
    Materials(Vec<Material>),
}

/// Reads a document of any kind.
///
/// # Errors
///
/// [`ReadError`] if it is none of them, exceeds a limit, is not well-formed, or does not identify its run.
pub fn read(bytes: &[u8]) -> Result<Document, ReadError> {
    let (mut scanner, root) = Scanner::open(bytes)?;
    let at = &mut scanner;
    let document = match root.name() {
        "pipelines" => Document::Pipelines(feed::pipelines(at, &root)?),
        "feed" => Document::Feed(feed::feed(at, &root)?),
        "entry" => Document::Entry(feed::entry(at, &root)?),
        "pipeline" => Document::Pipeline(run::pipeline(at, &root)?),
        "stage" => Document::Stage(run::stage(at, &root)?),
        "job" => Document::Job(run::job(at, &root)?),
        "materials" => Document::Materials(run::materials(at, &root)?),
        "material" => {
            let mut materials = Vec::new();
            run::material(at, &root, &mut materials)?;
            Document::Materials(materials)
        }
        name if name.eq_ignore_ascii_case("html") => return Err(at.error(ReadFault::Html)),
        _ => return Err(at.error_in(&root, ReadFault::UnknownRoot)),
    };
    scanner.close()?;
    Ok(document)
}

/// Reads a document of any kind from `source`, and no more bytes than a document may have.
///
/// # Errors
///
/// As [`read`], and [`ReadFault::Io`] if `source` fails.
pub fn from_reader(source: impl Read) -> Result<Document, ReadError> {
    let mut bytes = Vec::new();
    // One byte more shows that the document is too long.
    let taken = source.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes);
    taken.map_err(|error| ReadError {
        document: "document".into(),
        line: 1,
        element: None,
        fault: error.into(),
    })?;
    read(&bytes)
}

/// Defines the functions that read one kind of document.
macro_rules! kinds {
    ($($name:ident, $kind:ident, $value:ty, $root:literal;)*) => {$(
        #[doc = concat!("Reads a `<", $root, ">` document.")]
        ///
        /// # Errors
        ///
        /// As [`read`], and [`ReadFault::OtherRoot`] if it is another document.
        pub fn $name(bytes: &[u8]) -> Result<$value, ReadError> {
            match read(bytes)? {
                Document::$kind(value) => Ok(value),
                other => Err(ReadError {
                    document: format!("<{}> document", other.root()),
                    line: 1,
                    element: None,
                    fault: ReadFault::OtherRoot { expected: $root },
                }),
            }
        }
    )*};
}

kinds! {
    pipelines, Pipelines, Pipelines, "pipelines";
    feed, Feed, StageFeed, "feed";
    pipeline, Pipeline, Pipeline, "pipeline";
    stage, Stage, Stage, "stage";
    job, Job, Job, "job";
}

impl Document {
    fn root(&self) -> &'static str {
        match self {
            Self::Pipelines(_) => "pipelines",
            Self::Feed(_) => "feed",
            Self::Entry(_) => "entry",
            Self::Pipeline(_) => "pipeline",
            Self::Stage(_) => "stage",
            Self::Job(_) => "job",
            Self::Materials(_) => "materials",
        }
    }
}
