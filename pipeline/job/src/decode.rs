//! Records become events; what cannot be read goes to the dead letters.

use std::collections::BTreeSet;

use hostread_eventlog::ReadRecord;
use hostread_schemas::EventTimeMs;
use hostread_schemas::envelope::{Decoder, schema_id};
use hostread_schemas::event::Event;
use hostread_schemas::json::validate;

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

/// Why there is no event in a value.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unread {
    /// It will never be one.
    #[error("{0}")]
    Broken(String),
    /// Written with a schema that the registry does not give: it may be away, or behind.
    #[error("the schema registry does not give schema id {0}")]
    UnknownSchema(u32),
}

/// Decodes records.
pub struct Decode {
    decoder: Decoder,
    ask: AskSchema,
    refused: BTreeSet<u32>,
}

impl std::fmt::Debug for Decode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decode")
    }
}

impl Decode {
    /// Decodes with what `decoder` knows; asks for other schemas.
    #[must_use]
    pub fn new(decoder: Decoder, ask: AskSchema) -> Self {
        Self {
            decoder,
            ask,
            refused: BTreeSet::new(),
        }
    }

    /// Values written with one of these ids are broken: a person knows that no registry will ever give them.
    #[must_use]
    pub fn refusing(mut self, schema_ids: impl IntoIterator<Item = u32>) -> Self {
        self.refused.extend(schema_ids);
        self
    }

    /// The event of a value in a topic, within the bounds that every door keeps; by its own receipt, so that it is the same
    /// whenever it is read.
    ///
    /// # Errors
    /// Why there is none.
    pub fn event(&mut self, topic: &str, value: &[u8]) -> Result<Event, Unread> {
        let id = schema_id(value).map_err(broken)?;
        if self.refused.contains(&id) {
            return Err(broken(format!("the settings refuse schema id {id}")));
        }
        if !self.decoder.knows(id) {
            let schema = (self.ask)(id).ok_or(Unread::UnknownSchema(id))?;
            self.decoder.add(id, &schema).map_err(broken)?;
        }
        let event = self.decoder.decode(value).map_err(broken)?;
        let of = event.body.event_type().topic();
        if of != topic {
            return Err(broken(format!(
                "an event of type \"{of}\" lies in this topic"
            )));
        }
        validate(&event, EventTimeMs(event.meta.received_at.0)).map_err(broken)?;
        Ok(event)
    }
}

fn broken(why: impl ToString) -> Unread {
    Unread::Broken(why.to_string())
}
