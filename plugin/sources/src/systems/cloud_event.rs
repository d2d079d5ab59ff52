//! CloudEvents over HTTP ("HTTP Protocol Binding for CloudEvents"): in binary mode the attributes are headers and the body is the data; in structured mode both
//! are in the body. A queue or a gateway may have dropped the headers.

use crate::event::Event;
use crate::loose::{Loose, fields};
use crate::time::Moment;

/// A CloudEvent.
pub(crate) struct CloudEvent<T> {
    /// The attribute `type`.
    pub kind: Option<String>,
    /// The attribute `source`.
    pub source: Option<String>,
    /// The attribute `time`.
    pub time: Option<Moment>,
    /// Its data.
    pub data: T,
}

fields! {
    /// An event in structured mode.
    Envelope<T> {
        specversion: String,
        #[serde(rename = "type")]
        kind: String,
        source: String,
        time: Moment,
        data: T,
    }
}

impl<T: Loose> CloudEvent<T> {
    /// Reads a delivery in either mode.
    pub(crate) fn read(event: &Event<'_>) -> Result<Self, String> {
        let envelope: Envelope<T> = event.fields()?;
        if let (Some(_), Some(data)) = (envelope.specversion, envelope.data) {
            return Ok(Self {
                kind: envelope.kind,
                source: envelope.source,
                time: envelope.time,
                data,
            });
        }
        let attribute = |name| event.first_header(&[name]).map(str::to_owned);
        Ok(Self {
            kind: attribute("ce-type"),
            source: attribute("ce-source"),
            time: event.first_header(&["ce-time"]).and_then(Moment::read),
            data: event.fields()?,
        })
    }
}
