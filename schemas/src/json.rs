//! Events as JSON: one object with `type`, the fields of `Meta` and those of the body side by side; one object a line in NDJSON.
//! Needs: nothing of the sender: a `Draft` may leave out what its door knows better (tenant, source, id, times, batch).
//! Promises: what `write` wrote, `read` reads back; an error names the field by its path (`codes[3]`, `ip.class`). A field that
//! no event type has, a field given twice, a NUL character and deep nesting are errors, never passed over.
//! Leaves out: whether a value makes sense (`validate`), hashing an address that came as text.
//!
//! Invariant 1: in a batch only the event with the error is lost, unless the text is not JSON at all.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::event::{Body, Event, EventType, IpFacts, Meta};
use crate::id::EventId;
use crate::unit::{EventTimeMs, ReceivedAtMs};
use crate::wire::{self, Fields};

pub use crate::validate::*;

/// Deepest nesting. Events need 2 (`ip`); deeper is an attack on the stack.
pub const DEPTH_MAX: usize = 32;
/// Most values in one event. Fewer: a rule set with every data-centre network would not fit. More: 8 MiB of `0,` would take
/// 16 times that in memory.
pub const VALUES_MAX: usize = 500_000;
/// Longest message; it may quote the input.
const MESSAGE_CHARS_MAX: usize = 240;

/// What is wrong with which field.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, thiserror::Error)]
#[error("{}{}{message}", field, if field.is_empty() { "" } else { ": " })]
pub struct FieldError {
    /// Path within the event; empty for the event itself.
    pub field: String,
    /// What is wrong, for people.
    pub message: String,
}

impl FieldError {
    /// An error of a field.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }
}

/// An event as a sender states it: its door adds what is missing.
#[derive(Clone, PartialEq, Eq)]
pub struct Draft {
    /// The sender's own id; a door hashes it.
    pub id: Option<String>,
    /// Tenant.
    pub tenant: Option<String>,
    /// Source.
    pub source: Option<String>,
    /// When it happened.
    pub time: Option<EventTimeMs>,
    /// When a door got it.
    pub received_at: Option<ReceivedAtMs>,
    /// What it came with.
    pub batch_id: Option<String>,
    /// Revision.
    pub revision: u32,
    /// The value of `ip` when it is text: an address to be hashed and forgotten. The body then has none.
    pub ip: Option<String>,
    /// The value of `customer`: at a door an id to be hashed and forgotten. The body then has none.
    pub customer: Option<String>,
    /// What happened.
    pub body: Body,
}

/// The address stays out of logs.
impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft")
            .field("tenant", &self.tenant)
            .field("source", &self.source)
            .field("type", &self.body.event_type())
            .finish_non_exhaustive()
    }
}

impl Draft {
    /// The event, when nothing is missing.
    pub fn complete(mut self) -> Result<Event, FieldError> {
        let needed = |field: &str| FieldError::new(field, "is needed");
        if self.ip.is_some() {
            return Err(FieldError::new(
                "ip",
                "an address is taken at a door only; here its hashes are needed",
            ));
        }
        if let (Some(key), Body::Order(order)) = (self.customer, &mut self.body) {
            order.customer = Some(typed(Value::String(key)).map_err(|_| {
                FieldError::new(
                    "customer",
                    "an id is taken at a door only; here its hash of 16 hexadecimal digits is needed",
                )
            })?);
        }
        let id = self.id.ok_or_else(|| needed("id"))?;
        Ok(Event {
            meta: Meta {
                id: EventId::from_hex(&id).ok_or_else(|| {
                    FieldError::new("id", "an event id has 32 hexadecimal digits")
                })?,
                tenant: self.tenant.ok_or_else(|| needed("tenant"))?,
                source: self.source.ok_or_else(|| needed("source"))?,
                time: self.time.ok_or_else(|| needed("time"))?,
                received_at: self.received_at.ok_or_else(|| needed("received_at"))?,
                batch_id: self.batch_id.unwrap_or_default(),
                revision: self.revision,
            },
            body: self.body,
        })
    }
}

/// Reads a whole event from one line.
pub fn read(line: &[u8]) -> Result<Event, FieldError> {
    read_draft(line)?.complete()
}

/// Reads what a sender states of an event.
pub fn read_draft(line: &[u8]) -> Result<Draft, FieldError> {
    let found = Found::default();
    let mut deserializer = serde_json::Deserializer::from_slice(line);
    let value = tree(&found).deserialize(&mut deserializer);
    let value = value.and_then(|value| deserializer.end().map(|()| value));
    match value {
        Ok(value) => found.or(value).and_then(draft),
        Err(error) => Err(found.syntax(&error)),
    }
}

/// Reads a JSON array of events: one result each, in order. An error of the whole when it is no array, has more than
/// `events_max` events, or is not JSON.
pub fn read_batch(
    body: &[u8],
    events_max: usize,
) -> Result<Vec<Result<Draft, FieldError>>, FieldError> {
    let found = Found::default();
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let batch = deserializer.deserialize_any(Batch {
        found: &found,
        events_max,
    });
    batch
        .and_then(|batch| deserializer.end().map(|()| batch))
        .map_err(|error| found.syntax(&error))
}

/// Appends an event as one line, newline included.
pub fn write(event: &Event, out: &mut Vec<u8>) {
    let before = out.len();
    if write_body(event, out).is_err() {
        // Only a map with keys that are no texts, or a failing writer, makes an error: neither is here.
        out.truncate(before);
    }
    out.push(b'\n');
}

#[derive(Serialize)]
struct Line<'a, T> {
    #[serde(rename = "type")]
    event_type: &'static str,
    #[serde(flatten)]
    meta: &'a Meta,
    #[serde(flatten)]
    body: &'a T,
}

macro_rules! bodies {
    ($($type:ident),+ $(,)?) => {
        fn write_body(event: &Event, out: &mut Vec<u8>) -> serde_json::Result<()> {
            let (meta, event_type) = (&event.meta, event.body.event_type().as_str());
            match &event.body {
                $(Body::$type(body) => serde_json::to_writer(out, &Line { event_type, meta, body }),)+
            }
        }

        fn read_body(event_type: EventType, fields: Map<String, Value>) -> Result<Body, FieldError> {
            match event_type { $(EventType::$type => typed(Value::Object(fields)).map(Body::$type),)+ }
        }
    };
}

bodies!(
    Request, Impression, Pixel, Order, Redemption, Show, Episode, Slot, Store, Campaign, LineItem,
    Code, Aired, RuleSet, Settings
);

/// A value of a type, or the path of what does not fit.
fn typed<T: for<'de> Deserialize<'de>>(value: Value) -> Result<T, FieldError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let field = if path == "." { String::new() } else { path };
        FieldError::new(field, shortened(&error.inner().to_string()))
    })
}

fn draft(value: Value) -> Result<Draft, FieldError> {
    let Value::Object(mut fields) = value else {
        return Err(FieldError::new("", "an event is a JSON object"));
    };
    let Some(Value::String(word)) = fields.remove("type") else {
        let message = format!("is needed: one of {}", words());
        return Err(FieldError::new("type", message));
    };
    let event_type = EventType::parse(&word)
        .ok_or_else(|| FieldError::new("type", format!("must be one of {}", words())))?;
    let known = wire::body_fields(event_type);
    let unknown = fields
        .keys()
        .find(|key| !Meta::FIELDS.contains(&key.as_str()) && !known.contains(&key.as_str()));
    if let Some(key) = unknown {
        let message = format!(
            "an event of type \"{}\" has no such field",
            event_type.as_str()
        );
        return Err(FieldError::new(shortened(key), message));
    }
    let mut ip = None;
    match fields.get_mut("ip") {
        Some(Value::String(text)) => {
            ip = Some(std::mem::take(text));
            fields.remove("ip");
        }
        Some(Value::Object(facts)) => {
            if let Some(key) = facts
                .keys()
                .find(|key| !IpFacts::FIELDS.contains(&key.as_str()))
            {
                let field = format!("ip.{}", shortened(key));
                return Err(FieldError::new(field, "an address has no such field"));
            }
        }
        _ => {}
    }
    let customer = match event_type {
        EventType::Order => take(&mut fields, "customer")?,
        _ => None,
    };
    Ok(Draft {
        id: take(&mut fields, "id")?,
        tenant: take(&mut fields, "tenant")?,
        source: take(&mut fields, "source")?,
        time: take(&mut fields, "time")?,
        received_at: take(&mut fields, "received_at")?,
        batch_id: take(&mut fields, "batch_id")?,
        revision: take(&mut fields, "revision")?.unwrap_or_default(),
        ip,
        customer,
        body: read_body(event_type, fields)?,
    })
}

fn take<T: for<'de> Deserialize<'de>>(
    fields: &mut Map<String, Value>,
    name: &str,
) -> Result<Option<T>, FieldError> {
    match fields.remove(name) {
        None => Ok(None),
        Some(value) => typed(value).map_err(|error| FieldError::new(name, error.message)),
    }
}

fn words() -> String {
    EventType::ALL.map(EventType::as_str).join(", ")
}

fn shortened(text: &str) -> String {
    text.chars().take(MESSAGE_CHARS_MAX).collect()
}

/// Where reading is.
enum Path<'a> {
    Root,
    Key(&'a Self, &'a str),
    Index(&'a Self, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Key(Path::Root, key) => f.write_str(key),
            Path::Key(parent, key) => write!(f, "{parent}.{key}"),
            Path::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// The first thing wrong with an event whose text is JSON; reading goes on, for the sake of the next event.
#[derive(Default)]
struct Found {
    first: RefCell<Option<FieldError>>,
    values: RefCell<usize>,
}

impl Found {
    fn note(&self, at: &Path<'_>, message: &str) {
        let mut first = self.first.borrow_mut();
        if first.is_none() {
            *first = Some(FieldError::new(shortened(&at.to_string()), message));
        }
    }

    fn or<T>(&self, value: T) -> Result<T, FieldError> {
        self.first.take().map_or(Ok(value), Err)
    }

    /// The text is not JSON: where, and what the parser says.
    fn syntax(&self, error: &serde_json::Error) -> FieldError {
        let message = shortened(&error.to_string());
        let at = self.first.take().map(|first| first.field);
        FieldError::new(at.unwrap_or_default(), message)
    }
}

/// Reads any JSON value into a tree, noting what no event may have.
#[derive(Clone, Copy)]
struct Tree<'a> {
    at: &'a Path<'a>,
    depth: usize,
    found: &'a Found,
}

fn tree(found: &Found) -> Tree<'_> {
    Tree {
        at: &Path::Root,
        depth: 0,
        found,
    }
}

impl<'a> Tree<'a> {
    fn text(self, text: &str) {
        if text.contains('\0') {
            self.found.note(self.at, "has a NUL character");
        }
    }

    /// Does one more list or object fit?
    fn deeper(self) -> bool {
        if self.depth >= DEPTH_MAX {
            self.found.note(self.at, "is nested too deep");
        }
        self.depth < DEPTH_MAX
    }

    fn inner<'b>(self, at: &'b Path<'b>) -> Tree<'b>
    where
        'a: 'b,
    {
        Tree {
            at,
            depth: self.depth + 1,
            found: self.found,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let count = {
            let mut values = self.found.values.borrow_mut();
            *values += 1;
            *values
        };
        if count > VALUES_MAX {
            self.found.note(self.at, "the event has too many values");
            return IgnoredAny::deserialize(deserializer).map(|_| Value::Null);
        }
        let value = deserializer.deserialize_any(self);
        if value.is_err() {
            self.found.note(self.at, "is not JSON");
        }
        value
    }
}

impl<'de> serde::de::Visitor<'de> for Tree<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        self.text(text);
        Ok(Value::from(text))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        self.text(&text);
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        if !self.deeper() {
            while access.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Value::Null);
        }
        while let Some(item) =
            access.next_element_seed(self.inner(&Path::Index(self.at, items.len())))?
        {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        if !self.deeper() {
            while access.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Value::Null);
        }
        while let Some(key) = access.next_key::<String>()? {
            let at = Path::Key(self.at, &key);
            let inner = self.inner(&at);
            inner.text(&key);
            let value = access.next_value_seed(inner)?;
            if fields.contains_key(&key) {
                self.found.note(&at, "is given twice");
            }
            fields.insert(key, value);
        }
        Ok(Value::Object(fields))
    }
}

/// Reads an array of events, each with its own result.
struct Batch<'a> {
    found: &'a Found,
    events_max: usize,
}

/// One event of a batch.
struct Item<'a>(&'a Found);

impl<'de> DeserializeSeed<'de> for Item<'_> {
    type Value = Result<Draft, FieldError>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        *self.0.values.borrow_mut() = 0;
        let value = tree(self.0).deserialize(deserializer)?;
        Ok(self.0.or(value).and_then(draft))
    }
}

impl<'de> serde::de::Visitor<'de> for Batch<'_> {
    type Value = Vec<Result<Draft, FieldError>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut events = Vec::new();
        while let Some(event) = access.next_element_seed(Item(self.found))? {
            if events.len() == self.events_max {
                let message = format!("a batch has at most {} events", self.events_max);
                return Err(A::Error::custom(message));
            }
            events.push(event);
        }
        Ok(events)
    }
}
