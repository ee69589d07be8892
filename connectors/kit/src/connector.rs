//! What a connector is: a pure mapping from one raw input to events.
//! Promises (checked by `conformance`): no panic on any bytes; event ids and facts depend on tenant, source and input only, never
//! on when, in which batch or in which order it came; nothing personal leaves in clear.

use hostread_schemas::event::{Body, Event, Meta};
use hostread_schemas::id::EventId;
use hostread_schemas::intern::IdHasher;
use hostread_schemas::unit::{EventTimeMs, ReceivedAtMs};

use crate::pseudonym::Pseudonymizer;

/// Who gets the events, and how an input came in.
#[derive(Clone, Debug)]
pub struct Origin<'a> {
    /// The tenant's name.
    pub tenant: &'a str,
    /// The source's name within the tenant.
    pub source: &'a str,
    /// The file, delivery or request.
    pub batch_id: &'a str,
    /// When the door got it.
    pub received_at: ReceivedAtMs,
    /// Makes event ids.
    pub ids: IdHasher,
    /// Hashes personal data.
    pub pseudonyms: &'a Pseudonymizer,
}

impl Origin<'_> {
    /// Identity of the event that the source itself calls `own_id`.
    #[must_use]
    pub fn event_id(&self, own_id: &[u8]) -> EventId {
        self.ids.event_id(self.tenant, self.source, own_id)
    }

    /// An event at `time`.
    #[must_use]
    pub fn event(&self, own_id: &[u8], time: EventTimeMs, body: Body) -> Event {
        Event {
            meta: Meta {
                id: self.event_id(own_id),
                tenant: self.tenant.to_owned(),
                source: self.source.to_owned(),
                time,
                received_at: self.received_at,
                batch_id: self.batch_id.to_owned(),
                revision: 0,
            },
            body,
        }
    }
}

/// One raw input: a log line, a webhook delivery, a query.
#[derive(Clone, Copy, Debug, Default)]
pub struct Raw<'a> {
    /// What came beside the body: HTTP headers (lower case), settings of the feed.
    pub fields: &'a [(&'a str, &'a str)],
    /// The bytes.
    pub body: &'a [u8],
}

impl Raw<'_> {
    /// A field's value.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(there, _)| *there == name)
            .map(|(_, value)| *value)
    }
}

/// Why an input, or a part of it, cannot be used. Shown to the sender; holds nothing personal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// From a closed set: a metric's label.
    pub reason: &'static str,
    /// The field that is wrong; empty = the whole.
    pub field: String,
    /// For people.
    pub message: String,
}

impl Rejected {
    /// A rejection that names a field.
    #[must_use]
    pub fn field(
        reason: &'static str,
        field: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            reason,
            field: field.into(),
            message: message.into(),
        }
    }

    /// A rejection of the whole input.
    #[must_use]
    pub fn whole(reason: &'static str, message: impl Into<String>) -> Self {
        Self::field(reason, "", message)
    }
}

impl std::fmt::Display for Rejected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.field.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.field, self.message)
        }
    }
}

/// What became of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mapped<E = Box<Event>> {
    /// Something happened.
    Event(E),
    /// Says nothing, and may (a comment, an empty line).
    Nothing,
    /// Cannot be used.
    Rejected(Rejected),
}

impl From<Result<Event, Rejected>> for Mapped {
    fn from(result: Result<Event, Rejected>) -> Self {
        match result {
            Ok(event) => Self::Event(Box::new(event)),
            Err(rejected) => Self::Rejected(rejected),
        }
    }
}

impl<E> From<Result<E, Rejected>> for Mapped<E> {
    fn from(result: Result<E, Rejected>) -> Self {
        result.map_or_else(Self::Rejected, Self::Event)
    }
}

/// A kind of source.
pub trait Connector {
    /// Its folder's name.
    fn name(&self) -> &'static str;
    /// Maps one input.
    fn map(&self, origin: &Origin<'_>, raw: &Raw<'_>) -> Mapped;
}
