//! Events to Avro and back.
//! Needs: the schema that a body was written under (`Writer`); the envelope names it by id.
//! Promises: what was written under any released schema reads as the same event; a body under the compiled-in schema is read by
//! position in well under a microsecond, one under another version is resolved by Avro's rules and costs some 20 times that.
//! Leaves out: framing and headers (`envelope`), whether a value makes sense (`json::validate`).
//!
//! Invariant 1: bytes that are cut short or go on after the event are an error, never an event with holes.

use std::io::Read;
use std::sync::OnceLock;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;

use crate::event::{Event, EventType};
use crate::wire;

/// Largest body, as in the log. More would not have been accepted there.
pub const BODY_BYTES_MAX: usize = 4 << 20;
/// Largest schema text. Ours have 5 KiB; a registry that sends more is not ours.
pub const SCHEMA_BYTES_MAX: usize = 256 << 10;

/// Why bytes are not an event.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The bytes are not what the schema says.
    #[error("field \"{field}\" could not be read: {problem}")]
    Malformed {
        /// Where reading stopped.
        field: &'static str,
        /// What stood there.
        problem: &'static str,
    },
    /// The value does not start with the frame 0x00 and a schema id.
    #[error("the value has no schema frame")]
    NotFramed,
    /// No schema of this id was added: ask the registry, then decode again.
    #[error("schema id {id} is not known here")]
    UnknownSchema {
        /// The id in the frame.
        id: u32,
    },
    /// The schema is not one of an event, or cannot be read as the compiled-in one.
    #[error("the schema is not usable: {problem}")]
    Schema {
        /// What is wrong with it.
        problem: String,
    },
    /// The body is larger than `BODY_BYTES_MAX`.
    #[error("the body has {bytes} bytes, more than {BODY_BYTES_MAX}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// A body under another version of the schema could not be resolved.
    #[error("the body does not resolve to the present schema of \"{event_type}\"")]
    Unresolved {
        /// The type of the writer's schema.
        event_type: &'static str,
        /// Avro's own reason.
        #[source]
        source: Box<apache_avro::Error>,
    },
}

impl EventType {
    /// The word of the `type` field in JSON; also the file name of the schema.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Impression => "impression",
            Self::Pixel => "pixel",
            Self::Order => "order",
            Self::Redemption => "redemption",
            Self::Show => "show",
            Self::Episode => "episode",
            Self::Slot => "slot",
            Self::Store => "store",
            Self::Campaign => "campaign",
            Self::LineItem => "line_item",
            Self::Code => "code",
            Self::Aired => "aired",
            Self::RuleSet => "rule_set",
            Self::Settings => "settings",
        }
    }

    /// The type of this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.as_str() == word)
    }

    /// The type of a topic.
    #[must_use]
    pub fn of_topic(topic: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.topic() == topic)
    }

    /// Name of the schema in a registry (TopicNameStrategy).
    #[must_use]
    pub fn subject(self) -> String {
        format!("{}-value", self.topic())
    }

    /// The Avro schema that this program writes.
    #[must_use]
    pub const fn schema_json(self) -> &'static str {
        match self {
            Self::Request => include_str!("../avro/request.avsc"),
            Self::Impression => include_str!("../avro/impression.avsc"),
            Self::Pixel => include_str!("../avro/pixel.avsc"),
            Self::Order => include_str!("../avro/order.avsc"),
            Self::Redemption => include_str!("../avro/redemption.avsc"),
            Self::Show => include_str!("../avro/show.avsc"),
            Self::Episode => include_str!("../avro/episode.avsc"),
            Self::Slot => include_str!("../avro/slot.avsc"),
            Self::Store => include_str!("../avro/store.avsc"),
            Self::Campaign => include_str!("../avro/campaign.avsc"),
            Self::LineItem => include_str!("../avro/line_item.avsc"),
            Self::Code => include_str!("../avro/code.avsc"),
            Self::Aired => include_str!("../avro/aired.avsc"),
            Self::RuleSet => include_str!("../avro/rule_set.avsc"),
            Self::Settings => include_str!("../avro/settings.avsc"),
        }
    }

    /// The last part of the record's full name.
    const fn record_name(self) -> &'static str {
        match self {
            Self::Request => "Request",
            Self::Impression => "Impression",
            Self::Pixel => "Pixel",
            Self::Order => "Order",
            Self::Redemption => "Redemption",
            Self::Show => "Show",
            Self::Episode => "Episode",
            Self::Slot => "Slot",
            Self::Store => "Store",
            Self::Campaign => "Campaign",
            Self::LineItem => "LineItem",
            Self::Code => "Code",
            Self::Aired => "Aired",
            Self::RuleSet => "RuleSet",
            Self::Settings => "Settings",
        }
    }
}

/// The schemas that a body was written under.
pub struct Writer {
    event_type: EventType,
    /// `None`: the compiled-in one.
    other: Option<Resolver>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("event_type", &self.event_type)
            .field("current", &self.is_current())
            .finish_non_exhaustive()
    }
}

impl Writer {
    /// The compiled-in schema of a type.
    #[must_use]
    pub const fn current(event_type: EventType) -> Self {
        Self {
            event_type,
            other: None,
        }
    }

    /// A schema from a registry; the record's name says which type it is.
    pub fn parse(schema_json: &str) -> Result<Self, CodecError> {
        let refused = |problem: String| CodecError::Schema { problem };
        if schema_json.len() > SCHEMA_BYTES_MAX {
            return Err(refused(format!("more than {SCHEMA_BYTES_MAX} bytes")));
        }
        let schema = Schema::parse_str(schema_json).map_err(|error| refused(error.to_string()))?;
        let event_type = schema
            .name()
            .and_then(|name| {
                EventType::ALL
                    .into_iter()
                    .find(|t| name.name() == t.record_name())
            })
            .ok_or_else(|| refused("its name is not that of an event type".to_owned()))?;
        let current = current_schema(event_type)?;
        let same = schema.canonical_form() == current.canonical_form();
        if !same {
            apache_avro::schema_compatibility::SchemaCompatibility::can_read(&schema, current)
                .map_err(|error| refused(error.to_string()))?;
        }
        let other = if same {
            None
        } else {
            Some(Resolver::new(event_type, schema, current)?)
        };
        Ok(Self { event_type, other })
    }

    /// The type of its events.
    #[must_use]
    pub const fn event_type(&self) -> EventType {
        self.event_type
    }

    /// Is it the compiled-in one?
    #[must_use]
    pub const fn is_current(&self) -> bool {
        self.other.is_none()
    }

    /// Reads one body.
    pub fn decode(&self, body: &[u8]) -> Result<Event, CodecError> {
        if body.len() > BODY_BYTES_MAX {
            return Err(CodecError::TooLarge { bytes: body.len() });
        }
        match &self.other {
            None => wire::get_event(self.event_type, body),
            Some(resolver) => wire::get_event(self.event_type, &resolver.resolve(body)?),
        }
    }
}

/// Appends an event's body under the compiled-in schema of its type.
pub fn encode(event: &Event, out: &mut Vec<u8>) {
    wire::put_event(event, out);
}

/// Reads a body written under the compiled-in schema of its type.
pub fn decode(event_type: EventType, body: &[u8]) -> Result<Event, CodecError> {
    Writer::current(event_type).decode(body)
}

/// Names of the fields of a type's body, in the order of the schema.
#[must_use]
pub const fn body_fields(event_type: EventType) -> &'static [&'static str] {
    wire::body_fields(event_type)
}

fn current_schema(event_type: EventType) -> Result<&'static Schema, CodecError> {
    static SCHEMAS: [OnceLock<Schema>; EventType::ALL.len()] =
        [const { OnceLock::new() }; EventType::ALL.len()];
    let cell = SCHEMAS
        .get(event_type as usize)
        .ok_or(CodecError::NotFramed)?;
    if let Some(schema) = cell.get() {
        return Ok(schema);
    }
    let schema =
        Schema::parse_str(event_type.schema_json()).map_err(|error| CodecError::Schema {
            problem: error.to_string(),
        })?;
    Ok(cell.get_or_init(|| schema))
}

/// Makes bodies under another version of a schema into bodies under the compiled-in one.
struct Resolver {
    event_type: EventType,
    reader: GenericDatumReader<'static>,
    writer: GenericDatumWriter<'static>,
}

impl Resolver {
    fn new(
        event_type: EventType,
        schema: Schema,
        current: &'static Schema,
    ) -> Result<Self, CodecError> {
        let refused = |error: apache_avro::Error| CodecError::Schema {
            problem: error.to_string(),
        };
        // The reader keeps references into the schema, and working them out anew for each body costs as much as the body. A
        // process learns a few schemas in its life (`envelope::SCHEMAS_MAX`), so they may stay.
        let schema: &'static Schema = Box::leak(Box::new(schema));
        Ok(Self {
            event_type,
            reader: GenericDatumReader::builder(schema)
                .reader_schema(current)
                .build()
                .map_err(refused)?,
            writer: GenericDatumWriter::builder(current)
                .build()
                .map_err(refused)?,
        })
    }

    fn resolve(&self, body: &[u8]) -> Result<Vec<u8>, CodecError> {
        // Takes effect once a process: without it a wrong length asks for half a gigabyte.
        apache_avro::util::max_allocation_bytes(16 * BODY_BYTES_MAX);
        let unresolved = |source: apache_avro::Error| CodecError::Unresolved {
            event_type: self.event_type.as_str(),
            source: Box::new(source),
        };
        let malformed = |problem| CodecError::Malformed {
            field: "meta",
            problem,
        };
        let mut source = Counted {
            rest: body,
            starved: false,
        };
        let value = self.reader.read_value(&mut source);
        // Apache's reader takes the end of the input for a null in unions, texts and booleans (Invariant 1).
        if source.starved {
            return Err(malformed("the input ends too early"));
        }
        let value = value.map_err(unresolved)?;
        if !source.rest.is_empty() {
            return Err(malformed("bytes are left over after it"));
        }
        self.writer.write_value_to_vec(value).map_err(unresolved)
    }
}

/// Notes when more was asked for than there is.
struct Counted<'a> {
    rest: &'a [u8],
    starved: bool,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let taken = self.rest.read(buffer)?;
        self.starved |= taken < buffer.len();
        Ok(taken)
    }
}
