//! Documents to values, beside the XML library that reads the same bytes and does nothing.

use anyhow::Result;
use pipefold_gocd::read::read;
use quick_xml::Reader;
use quick_xml::events::Event;

use super::documents;
use crate::samples::Samples;

/// Rounds through all documents, of both in turn.
const ROUNDS: usize = 40;

/// The measured values.
pub(super) struct Parsed {
    pub(super) documents: usize,
    /// Of all documents together.
    pub(super) megabytes: f64,
    pub(super) read: Samples,
    pub(super) library: Samples,
}

impl Parsed {
    /// Millions of bytes a second.
    pub(super) fn rate(&self) -> f64 {
        self.megabytes / (self.read.median() / 1e3)
    }

    /// In times of the library alone.
    pub(super) fn ratio(&self) -> f64 {
        self.read.median() / self.library.median()
    }
}

/// Reads all documents in each round.
pub(super) fn measure() -> Result<Parsed> {
    let documents = documents::all()?;
    let bytes: usize = documents.iter().map(Vec::len).sum();
    let (mut ours, mut library) = (Samples::default(), Samples::default());
    for _ in 0..ROUNDS {
        ours.time(|| documents.iter().try_for_each(|document| read(document).map(drop)))?;
        library.time(|| documents.iter().try_for_each(|document| events(document)))?;
    }
    Ok(Parsed {
        documents: documents.len(),
        megabytes: bytes as f64 / 1e6,
        read: ours,
        library,
    })
}

fn events(document: &[u8]) -> Result<(), quick_xml::Error> {
    let mut reader = Reader::from_reader(document);
    while !matches!(std::hint::black_box(reader.read_event()?), Event::Eof) {}
    Ok(())
}
