//! Avro's binary form of the released schemas, read and written by position.
//! Needs: bytes written under exactly the compiled-in schema of the type (`codec` sees to that).
//! Promises: any bytes give a value or an error: no panic, nothing reserved that the input is too short to fill.
//! Leaves out: other versions of a schema (`codec` resolves them first), whether a value makes sense (`json::validate`).
//!
//! Invariant 1: the order of fields and symbols here is that of `schemas/avro`; a test reads one with the other.

use crate::codec::CodecError;
use crate::event::{
    AdKind, Aired, Body, Campaign, Code, ControllingSource, Episode, Event, EventType, Hash64,
    Impression, ImpressionKind, Included, IpClass, IpFacts, LineItem, Meta, Method, Model, Order,
    OrderKind, OtherAgent, Pixel, PixelKind, PriceKind, Redemption, Request, RuleSet, Settings,
    Show, Slot, SourceKind, Store,
};
use crate::id::EventId;
use crate::unit::{Currency, EventTimeMs, MoneyMicros, ReceivedAtMs};

/// Most items in one list. More: a few hostile megabytes of empty texts would need 24 times their size in memory. Fewer: a rule
/// set with every data-centre network would not fit.
pub(crate) const LIST_ITEMS_MAX: usize = 500_000;

/// Items reserved before any is read.
const LIST_RESERVE_MAX: usize = 64;

type Result<T> = std::result::Result<T, CodecError>;

/// Input that is left, and the field being read, for errors.
pub(crate) struct Input<'a> {
    rest: &'a [u8],
    field: &'static str,
}

impl<'a> Input<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            field: "meta",
        }
    }

    #[cold]
    fn fail<T>(&self, problem: &'static str) -> Result<T> {
        Err(CodecError::Malformed {
            field: self.field,
            problem,
        })
    }

    /// All must have been read.
    pub(crate) fn finish(&self) -> Result<()> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            self.fail("bytes are left over after it")
        }
    }

    #[inline]
    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        match self.rest.split_at_checked(len) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => self.fail("the input ends too early"),
        }
    }

    /// A zigzag varint.
    #[inline]
    fn long(&mut self) -> Result<i64> {
        let mut value = 0_u64;
        for (index, &byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7F) << (7 * index);
            if byte < 0x80 {
                if index == 9 && byte > 1 {
                    return self.fail("a number has more than 64 bits");
                }
                self.rest = self.rest.get(index + 1..).unwrap_or_default();
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        if self.rest.len() < 10 {
            self.fail("the input ends too early")
        } else {
            self.fail("a number has more than 64 bits")
        }
    }

    #[inline]
    fn text(&mut self) -> Result<&'a str> {
        let len = self.long()?;
        let Ok(len) = usize::try_from(len) else {
            return self.fail("a length is negative");
        };
        match std::str::from_utf8(self.take(len)?) {
            Ok(text) => Ok(text),
            Err(_) => self.fail("a text is not UTF-8"),
        }
    }
}

#[inline]
fn put_long(value: i64, out: &mut Vec<u8>) {
    let mut left = ((value << 1) ^ (value >> 63)) as u64;
    while left >= 0x80 {
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
}

/// A value of the wire.
pub(crate) trait Wire: Sized {
    fn put(&self, out: &mut Vec<u8>);
    fn get(input: &mut Input<'_>) -> Result<Self>;
}

macro_rules! numbers {
    ($($type:ty => $put:expr, $get:expr;)+) => {$(
        impl Wire for $type {
            #[inline]
            fn put(&self, out: &mut Vec<u8>) {
                put_long($put(*self), out);
            }
            #[inline]
            fn get(input: &mut Input<'_>) -> Result<Self> {
                let number = input.long()?;
                match $get(number) {
                    Some(value) => Ok(value),
                    None => input.fail("a number is out of range"),
                }
            }
        }
    )+};
}

// `u64` goes through the bits of `i64`: what does not fit is refused at the doors, and a hash uses them all.
numbers! {
    u64 => |v: u64| v as i64, |n: i64| Some(n as u64);
    u32 => i64::from, |n: i64| u32::try_from(n).ok();
    u16 => i64::from, |n: i64| u16::try_from(n).ok();
    Hash64 => |v: Hash64| v.0 as i64, |n: i64| Some(Hash64(n as u64));
    MoneyMicros => |v: MoneyMicros| v.0, |n: i64| Some(MoneyMicros(n));
    EventTimeMs => |v: EventTimeMs| v.0, |n: i64| Some(EventTimeMs(n));
    ReceivedAtMs => |v: ReceivedAtMs| v.0, |n: i64| Some(ReceivedAtMs(n));
}

impl Wire for bool {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    #[inline]
    fn get(input: &mut Input<'_>) -> Result<Self> {
        match input.take(1)? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => input.fail("a boolean is neither 0 nor 1"),
        }
    }
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    put_long(text.len() as i64, out);
    out.extend_from_slice(text.as_bytes());
}

impl Wire for String {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        put_text(self, out);
    }
    #[inline]
    fn get(input: &mut Input<'_>) -> Result<Self> {
        input.text().map(str::to_owned)
    }
}

impl Wire for Currency {
    fn put(&self, out: &mut Vec<u8>) {
        put_text(self.as_str(), out);
    }
    fn get(input: &mut Input<'_>) -> Result<Self> {
        let text = input.text()?;
        match Self::parse(text) {
            Some(currency) => Ok(currency),
            None => input.fail("a currency is not three letters"),
        }
    }
}

impl Wire for EventId {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.hi.to_be_bytes());
        out.extend_from_slice(&self.lo.to_be_bytes());
    }
    #[inline]
    fn get(input: &mut Input<'_>) -> Result<Self> {
        match <[u8; 16]>::try_from(input.take(16)?) {
            Ok(bytes) => Ok(Self::from(u128::from_be_bytes(bytes))),
            Err(_) => input.fail("an event id has 16 bytes"),
        }
    }
}

/// The union `["null", T]`.
impl<T: Wire> Wire for Option<T> {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            None => out.push(0),
            Some(value) => {
                out.push(2);
                value.put(out);
            }
        }
    }
    #[inline]
    fn get(input: &mut Input<'_>) -> Result<Self> {
        match input.long()? {
            0 => Ok(None),
            1 => T::get(input).map(Some),
            _ => input.fail("a union has no such branch"),
        }
    }
}

/// Blocks of items; a negative count is followed by the block's size in bytes.
impl<T: Wire> Wire for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        if !self.is_empty() {
            put_long(self.len() as i64, out);
            for item in self {
                item.put(out);
            }
        }
        out.push(0);
    }
    fn get(input: &mut Input<'_>) -> Result<Self> {
        let mut items = Self::new();
        loop {
            let count = input.long()?;
            if count == 0 {
                return Ok(items);
            }
            if count < 0 {
                input.long()?;
            }
            let count = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
            if count > LIST_ITEMS_MAX - items.len() {
                return input.fail("a list is too long");
            }
            items.reserve(count.min(LIST_RESERVE_MAX));
            for _ in 0..count {
                items.push(T::get(input)?);
            }
        }
    }
}

macro_rules! symbols {
    ($($type:ident { $($variant:ident = $index:literal),+ $(,)? })+) => {$(
        impl Wire for $type {
            #[inline]
            fn put(&self, out: &mut Vec<u8>) {
                put_long(match self { $(Self::$variant => $index,)+ }, out);
            }
            #[inline]
            fn get(input: &mut Input<'_>) -> Result<Self> {
                match input.long()? {
                    $($index => Ok(Self::$variant),)+
                    _ => input.fail("an enumeration has no such symbol"),
                }
            }
        }
    )+};
}

symbols! {
    IpClass { Included = 0, Relay = 1, DataCentre = 2, Vpn = 3, Cellular = 4, Office = 5, Residential = 6 }
    Method { Get = 0, Head = 1, Other = 2 }
    SourceKind { Cdn = 0, Prefix = 1 }
    ImpressionKind { Delivered = 0, ClientConfirmed = 1, ControlExposure = 2 }
    PixelKind { Page = 0, Cart = 1, Lead = 2, Purchase = 3 }
    OrderKind { Placed = 0, Cancelled = 1, Refunded = 2 }
    AdKind { BakedIn = 0, Inserted = 1 }
    Model { First = 0, Last = 1, Linear = 2, TimeDecay = 3, Position = 4, Shapley = 5 }
    PriceKind { Cpm = 0, Cpa = 1 }
    ControllingSource { Bytes = 0, Impressions = 1 }
}

/// A record, and the names of its fields in order.
pub(crate) trait Fields {
    const FIELDS: &'static [&'static str];
}

macro_rules! records {
    ($($type:ident { $($field:ident),+ $(,)? })+) => {$(
        impl Fields for $type {
            const FIELDS: &'static [&'static str] = &[$(stringify!($field)),+];
        }

        impl Wire for $type {
            fn put(&self, out: &mut Vec<u8>) {
                let Self { $($field),+ } = self;
                $($field.put(out);)+
            }
            fn get(input: &mut Input<'_>) -> Result<Self> {
                Ok(Self { $($field: {
                    input.field = stringify!($field);
                    Wire::get(input)?
                }),+ })
            }
        }
    )+};
}

records! {
    Meta { id, tenant, source, time, received_at, batch_id, revision }
    IpFacts { star, net, class, asn, country, dated }
    Request {
        enclosure, method, status, range_first, range_last, sent_first, sent_bytes, total_bytes, ip,
        agent, session, referrer, source_kind,
    }
    Impression { line, show, episode, kind, ip, agent, session }
    Pixel { store, kind, order, value, currency, code, ip, agent }
    Order { store, kind, order_id, order_name, placed_at, value, currency, codes, ip, test, customer }
    Redemption { store, code, order, value, currency, ip }
    Show { show, title }
    Episode {
        show, episode, title, enclosures, published_at, size_bytes, header_bytes, bit_rate,
        duration_secs, vbr,
    }
    Slot { slot, show, episode, line, first_byte, last_byte, removed }
    Store { store, brand }
    Campaign { campaign, brand, title }
    LineItem {
        line, campaign, kind, controlling, goal, start, end, zone, price_kind, price, currency, model,
    }
    Code { store, code, line }
    Aired { line, episode, aired_at, episode_goal }
    RuleSet {
        rule_set, threshold_secs, bot_agents, nonhuman_nets, referrers_denied,
        prefix_drops_range_0_1, ip_volume_downloads_max, included, other_agents,
    }
    OtherAgent { pattern, bots_before }
    Included { from, expires, nets, addresses }
    Settings { lookback_hours, half_life_hours, shared_agents_day_max, shared_agents_month_max }
}

macro_rules! bodies {
    ($($type:ident),+ $(,)?) => {
        /// Names of the fields of a type's body, in order.
        pub(crate) const fn body_fields(event_type: EventType) -> &'static [&'static str] {
            match event_type { $(EventType::$type => $type::FIELDS,)+ }
        }

        /// Writes meta and body.
        pub(crate) fn put_event(event: &Event, out: &mut Vec<u8>) {
            event.meta.put(out);
            match &event.body { $(Body::$type(body) => body.put(out),)+ }
        }

        /// Reads meta and body; all of the input.
        pub(crate) fn get_event(event_type: EventType, bytes: &[u8]) -> Result<Event> {
            let mut input = Input::new(bytes);
            let meta = Meta::get(&mut input)?;
            let body = match event_type { $(EventType::$type => Body::$type($type::get(&mut input)?),)+ };
            input.finish()?;
            Ok(Event { meta, body })
        }
    };
}

bodies!(
    Request, Impression, Pixel, Order, Redemption, Show, Episode, Slot, Store, Campaign, LineItem,
    Code, Aired, RuleSet, Settings
);
