//! Lines of logs to requests, by the connectors that a server has.
//!
//! Promises: a line means the same in every thread and at every place of its file behind the head. Leaves out: what counts.

use std::sync::Arc;

use hostread_connectors::lines::{Block, LINE_BYTES_MAX, Line};
use hostread_connectors::log::{LogFormat, LogSettings};
use hostread_connectors::mapped::Mapping;
use hostread_connectors_kit::{IpRanges, Mapped, Origin, Pseudonymizer, TenantKey};
use hostread_schemas::fact::{FactBody, RequestFact};
use hostread_schemas::intern::{IdHasher, Learn};
use hostread_schemas::unit::ReceivedAtMs;
use hostread_schemas::{EventId, EventTimeMs};

use super::{KEY, NAME};
use crate::rules::Dated;

/// A request, when it was, and its place in the order.
pub(crate) type Seen = (EventTimeMs, EventId, RequestFact);

/// What a line says.
pub(crate) enum Parsed {
    /// A comment, an empty line.
    Nothing,
    /// It cannot be read, and why.
    Malformed(String),
    /// Someone asked for something.
    Request(Seen),
}

/// The classes of addresses, each from a time on: under others a request is the same but for its class.
#[derive(Clone)]
pub(crate) struct AddressClasses(Vec<(EventTimeMs, Pseudonymizer)>);

impl From<Dated> for AddressClasses {
    /// All files are of one tenant, so that a listener of two logs is one; his key is no secret, for ids live as long as the
    /// process.
    fn from(dated: Dated) -> Self {
        let key = TenantKey::new([0; 32]);
        let pseudonyms = |ranges: IpRanges| Pseudonymizer::new(&key, Arc::new(ranges.into()));
        let dated = dated.into_iter();
        Self(dated.map(|(from, of)| (from, pseudonyms(of))).collect())
    }
}

impl From<IpRanges> for AddressClasses {
    fn from(ranges: IpRanges) -> Self {
        vec![(EventTimeMs(i64::MIN), ranges)].into()
    }
}

impl AddressClasses {
    /// Which of them holds at a time.
    fn at(&self, time: EventTimeMs) -> usize {
        let after = self.0.partition_point(|(from, _)| *from <= time);
        after.saturating_sub(1)
    }
}

/// Reads lines of any log of a kind.
#[derive(Clone)]
pub(crate) struct Reader {
    log: LogSettings,
    /// Which field of a line is what, in logs of JSON or CSV lines.
    mapping: Option<Arc<Mapping>>,
    hasher: IdHasher,
}

impl Reader {
    pub(crate) const fn new(log: LogSettings, mapping: Option<Arc<Mapping>>) -> Self {
        let hasher = IdHasher::new(KEY);
        Self {
            log,
            mapping,
            hasher,
        }
    }

    /// What a line says; `learn` is told the names in it.
    pub(crate) fn read(
        &self,
        reading: &mut Reading,
        line: Line<'_>,
        addresses: &AddressClasses,
        learn: Learn<'_>,
    ) -> Parsed {
        let text = match line {
            Line::Text(text) => text,
            Line::TooLong(_) => {
                let why = format!("the line is longer than {LINE_BYTES_MAX} bytes");
                return Parsed::Malformed(why);
            }
        };
        let Some((format, period)) = reading.format(text, self) else {
            return match text.trim_ascii() {
                [] => Parsed::Nothing,
                _ => Parsed::Malformed("is not of a format that can be told".to_owned()),
            };
        };
        // The last line may have been read by classes that change on more days.
        *period = addresses.0.len().saturating_sub(1).min(*period);
        let event = loop {
            let Some((_, pseudonyms)) = addresses.0.get(*period) else {
                return Parsed::Nothing;
            };
            let origin = Origin {
                tenant: NAME,
                source: NAME,
                batch_id: NAME,
                received_at: ReceivedAtMs(0),
                ids: self.hasher,
                pseudonyms,
            };
            let event = match format.line(&origin, text) {
                Mapped::Nothing => return Parsed::Nothing,
                Mapped::Rejected(rejected) => return Parsed::Malformed(rejected.to_string()),
                Mapped::Event(event) => event,
            };
            // Only the line says when it was; the next one is mostly of the same time.
            let right = addresses.at(event.meta.time);
            if std::mem::replace(period, right) == right {
                break event;
            }
        };
        let fact = self.hasher.fact(&event, learn);
        match fact.body {
            FactBody::Request(request) => Parsed::Request((fact.time, fact.id, request)),
            _ => Parsed::Nothing,
        }
    }
}

/// A file being read: its format is told by its first line that tells one.
#[derive(Clone)]
pub(crate) struct Reading {
    format: Option<LogFormat>,
    /// Which classes of addresses the last line was read by.
    period: usize,
}

impl Reading {
    /// At the beginning of a file.
    pub(crate) const fn new() -> Self {
        Self {
            format: None,
            period: 0,
        }
    }

    fn format(&mut self, line: &[u8], reader: &Reader) -> Option<(&mut LogFormat, &mut usize)> {
        if self.format.is_none() {
            let mapping = reader.mapping.as_ref();
            self.format = LogFormat::told_by(line, reader.log, mapping);
        }
        Some((self.format.as_mut()?, &mut self.period))
    }

    /// Takes note of what a block says of the lines behind it.
    pub(super) fn learn(&mut self, block: &Block, reader: &Reader) {
        for (_, line) in block.lines() {
            let Line::Text(text) = line else { continue };
            if self.format.is_some() && !text.starts_with(b"#") {
                continue;
            }
            if let Some((format, _)) = self.format(text, reader) {
                format.learn(text);
            }
        }
    }
}
