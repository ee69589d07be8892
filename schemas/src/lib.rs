//! The words that all of Hostread shares: events, facts, view rows, ids, units and money.
//!
//! Needs: nothing (no I/O, no clock, no randomness).
//! Promises: every id, unit and time domain has a type of its own; the same input gives the same
//! bytes on every machine; a released wire format decodes for ever (`golden` files).
//! Leaves out: deciding anything (that is `rules`) and moving anything (that is `eventlog`).
//!
//! * [`event`]: what happened, as it travels in the log: names are text, personal data is hashed.
//! * [`fact`]: the same, interned to 64-bit ids, as the journal keeps it and the dataflow reads it.
//! * [`view`]: the rows that the dataflow maintains and the sinks keep.
//! * [`codec`], [`envelope`]: events as Avro, as log records; [`json`]: as lines of text, and what a door refuses.

pub mod codec;
pub mod envelope;
pub mod event;
pub mod fact;
pub mod id;
pub mod intern;
pub mod json;
pub mod names;
pub mod unit;
mod validate;
pub mod view;
mod wire;

pub use codec::{CodecError, decode, encode};
pub use envelope::{Decoder, Encoded, Encoder, partition};
pub use id::{
    AgentId, BatchId, BrandId, CampaignId, CodeId, ConversionId, CustomerId, EnclosureId,
    EpisodeId, EventId, HouseholdId, LineId, ListenerId, NetId, PatternId, RuleSetId, ShowId,
    SlotId, SourceId, StoreId, TenantId,
};
pub use names::{NameKind, Names};
pub use unit::{
    CREDIT_MICROS_PER_CONVERSION, CreditMicros, Currency, DAY_MS, Day, EventTimeMs, HOUR_MS, Hour,
    MoneyMicros, ReceivedAtMs, Tick,
};
pub use validate::{BOT_AGENTS_MAX, INCLUSION_DAYS_MAX, INCLUSION_MAX, REGEX_BYTES_MAX};
