//! Records become events; what cannot be read goes to the dead letters.

use std::collections::BTreeSet;

use hostread_eventlog::ReadRecord;
use hostread_schemas::envelope::{Decoder, schema_id};
use hostread_schemas::event::Event;

/// A record that could not be read.
#[derive(Debug)]
pub struct Undecodable<'a> {
    /// The record, with its position.
    pub record: &'a ReadRecord,
    /// Why.
    pub reason: String,
}

/// Asks the registry for a schema by id.
pub type AskSchema = Box<dyn FnMut(u32) -> Option<String> + Send>;

/// Decodes records.
pub struct Decode {
    decoder: Decoder,
    ask: AskSchema,
    unknown: BTreeSet<u32>,
}

impl std::fmt::Debug for Decode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decode")
    }
}

impl Decode {
    /// Decodes with what `decoder` knows; asks for other schemas once each.
    #[must_use]
    pub fn new(decoder: Decoder, ask: AskSchema) -> Self {
        Self {
            decoder,
            ask,
            unknown: BTreeSet::new(),
        }
    }

    /// The event of a record, or why there is none.
    pub(crate) fn event(&mut self, record: &ReadRecord) -> Result<Event, String> {
        let value: &[u8] = &record.value;
        let id = schema_id(value).map_err(|error| error.to_string())?;
        if !self.decoder.knows(id) && !self.unknown.contains(&id) {
            match (self.ask)(id) {
                Some(schema) => {
                    self.decoder
                        .add(id, &schema)
                        .map_err(|error| error.to_string())?;
                }
                None => {
                    self.unknown.insert(id);
                }
            }
        }
        let event = self
            .decoder
            .decode(value)
            .map_err(|error| error.to_string())?;
        if event.body.event_type().topic() != &*record.topic {
            return Err(format!(
                "an event of type \"{}\" lies in this topic",
                event.body.event_type().topic()
            ));
        }
        Ok(event)
    }
}
