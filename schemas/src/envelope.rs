//! An event as a log record and back: Confluent framing and CloudEvents headers in binary mode.
//! Needs: the registry's schema ids, both ways.
//! Promises: the same event and ids give the same bytes; any value gives an event or an error that names what is missing.
//! Leaves out: talking to the registry (`eventlog`), which partitions a log has (the caller passes the count).
//!
//! ```text
//! value = 0x00 | schema id u32, big endian | Avro body          key = the tenant's name
//! headers = content-type, ce_specversion, ce_id, ce_source, ce_type, ce_time, ce_subject, ce_tenantid [, traceparent]
//! ```

use std::collections::BTreeMap;
use std::hash::Hasher;

use siphasher::sip::SipHasher24;

use crate::codec::{CodecError, Writer, encode};
use crate::event::{Body, Event, EventType};

/// Cells of an installation: a tenant lives in one. More: more journals to own. Fewer: coarser moves between machines.
pub const CELLS: u32 = 64;

/// Most schemas that a decoder learns: 15 types in more versions than ever come. Each stays for the life of the process.
pub const SCHEMAS_MAX: usize = 1_000;

const FRAME_BYTES: usize = 5;

/// A record to be appended to the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Encoded {
    /// Topic of the event's type.
    pub topic: &'static str,
    /// The tenant's name.
    pub key: Vec<u8>,
    /// CloudEvents attributes.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Frame and body.
    pub value: Vec<u8>,
}

/// Makes records of events.
#[derive(Clone, Debug)]
pub struct Encoder {
    schema_ids: [u32; EventType::ALL.len()],
}

impl Encoder {
    /// With the registry's id of each type's schema.
    ///
    /// # Panics
    /// When a type has no id: its events could not be read by anyone.
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the ids become the encoder's"
    )]
    pub fn new(schema_ids: BTreeMap<EventType, u32>) -> Self {
        let id_of = |event_type| {
            schema_ids
                .get(&event_type)
                .copied()
                .unwrap_or_else(|| panic!("no schema id for {event_type:?}"))
        };
        Self {
            schema_ids: EventType::ALL.map(id_of),
        }
    }

    /// The record of an event.
    #[must_use]
    pub fn encode(&self, event: &Event) -> Encoded {
        self.encode_traced(event, None)
    }

    /// The record of an event, with the W3C `traceparent` of the request that it came with.
    #[must_use]
    pub fn encode_traced(&self, event: &Event, traceparent: Option<&str>) -> Encoded {
        let event_type = event.body.event_type();
        let schema_id = self
            .schema_ids
            .get(event_type as usize)
            .copied()
            .unwrap_or_default();
        let mut value = Vec::with_capacity(256);
        value.push(0);
        value.extend_from_slice(&schema_id.to_be_bytes());
        encode(event, &mut value);
        Encoded {
            topic: event_type.topic(),
            key: event.meta.tenant.clone().into_bytes(),
            headers: headers(event, traceparent),
            value,
        }
    }
}

fn headers(event: &Event, traceparent: Option<&str>) -> Vec<(String, Vec<u8>)> {
    let meta = &event.meta;
    let mut headers = Vec::with_capacity(9);
    let mut push = |name: &str, value: Vec<u8>| headers.push((name.to_owned(), value));
    push("content-type", b"application/avro".to_vec());
    push("ce_specversion", b"1.0".to_vec());
    // CloudEvents wants (source, id) to be one event; a correction has the id of what it corrects.
    let id = match meta.revision {
        0 => meta.id.to_hex(),
        revision => format!("{}-r{revision}", meta.id),
    };
    push("ce_id", id.into_bytes());
    let mut source = Vec::with_capacity(meta.tenant.len() + meta.source.len() + 2);
    for name in [&meta.tenant, &meta.source] {
        source.push(b'/');
        push_uri_segment(name, &mut source);
    }
    push("ce_source", source);
    push("ce_type", event.body.event_type().topic().into());
    push("ce_time", meta.time.to_rfc3339().into_bytes());
    push("ce_subject", subject(&event.body).into());
    push("ce_tenantid", meta.tenant.clone().into_bytes());
    if let Some(traceparent) = traceparent {
        push("traceparent", traceparent.into());
    }
    headers
}

/// `ce_source` is a URI reference.
fn push_uri_segment(name: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in name.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte);
        } else {
            let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

/// What the event is about, within its tenant.
fn subject(body: &Body) -> &str {
    match body {
        Body::Request(e) => &e.enclosure,
        Body::Impression(e) => &e.line,
        Body::Pixel(e) => &e.store,
        Body::Order(e) => &e.store,
        Body::Redemption(e) => &e.store,
        Body::Show(e) => &e.show,
        Body::Episode(e) => &e.episode,
        Body::Slot(e) => &e.slot,
        Body::Store(e) => &e.store,
        Body::Campaign(e) => &e.campaign,
        Body::LineItem(e) => &e.line,
        Body::Code(e) => &e.code,
        Body::Aired(e) => &e.line,
        Body::RuleSet(e) => &e.rule_set,
        Body::Settings(_) => "settings",
    }
}

/// Makes events of records. Starts empty: `add` what the registry says, or take `Decoder::current`.
#[derive(Debug, Default)]
pub struct Decoder {
    writers: BTreeMap<u32, Writer>,
}

impl Decoder {
    /// Knows the compiled-in schemas under these ids: what an `Encoder` with the same ids wrote.
    #[must_use]
    pub fn current(schema_ids: &BTreeMap<EventType, u32>) -> Self {
        Self {
            writers: schema_ids
                .iter()
                .map(|(event_type, id)| (*id, Writer::current(*event_type)))
                .collect(),
        }
    }

    /// Learns a schema of the registry; nothing new when the id is known. Refuses one that is not of an event type or that the compiled-in one cannot read.
    pub fn add(&mut self, id: u32, schema_json: &str) -> Result<(), CodecError> {
        if self.knows(id) {
            return Ok(()); // an id stands for one schema for ever
        }
        if self.writers.len() >= SCHEMAS_MAX {
            return Err(CodecError::Schema {
                problem: format!("{SCHEMAS_MAX} schemas are known already"),
            });
        }
        self.writers.insert(id, Writer::parse(schema_json)?);
        Ok(())
    }

    /// Was a schema of this id added?
    #[must_use]
    pub fn knows(&self, id: u32) -> bool {
        self.writers.contains_key(&id)
    }

    /// Reads a record's value.
    pub fn decode(&self, value: &[u8]) -> Result<Event, CodecError> {
        let id = schema_id(value)?;
        let writer = self
            .writers
            .get(&id)
            .ok_or(CodecError::UnknownSchema { id })?;
        writer.decode(value.get(FRAME_BYTES..).unwrap_or_default())
    }
}

/// The schema id in the frame of a value.
pub fn schema_id(value: &[u8]) -> Result<u32, CodecError> {
    match value {
        [0, a, b, c, d, ..] => Ok(u32::from_be_bytes([*a, *b, *c, *d])),
        _ => Err(CodecError::NotFramed),
    }
}

/// The cell that a tenant lives in. The same on every machine, for ever: it places journals.
#[must_use]
pub fn cell(tenant: &str, cells: u32) -> u32 {
    let mut hasher = SipHasher24::new();
    hasher.write(tenant.as_bytes());
    (hasher.finish() % u64::from(cells.max(1))) as u32
}

/// The partition that a tenant's records go to.
#[must_use]
pub fn partition(tenant: &str, partitions: u32) -> u32 {
    cell(tenant, CELLS) % partitions.max(1)
}
