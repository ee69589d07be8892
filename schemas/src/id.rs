//! Ids. Inside the pipeline every entity is a 64-bit keyed hash of its tenant and its own name
//! (see [`crate::intern`]); the name itself lives in [`crate::names`]. Zero means "none".

use std::hash::Hasher;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! id_kinds {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        pub struct $name(pub u64);

        impl $name {
            /// No such entity was named.
            pub const NONE: Self = Self(0);
            /// Is an entity named?
            #[must_use]
            pub const fn is_some(self) -> bool { self.0 != 0 }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!($prefix, "{:016x}"), self.0)
            }
        }
    )+};
}

id_kinds! {
    /// A paying organisation. The first part of every key.
    TenantId = "ten_",
    /// Where an event came from: one log feed, one shop connection, one pixel.
    SourceId = "src_",
    /// A podcast.
    ShowId = "shw_",
    /// One item of a show's feed.
    EpisodeId = "ep_",
    /// One audio address (host and path, without query) of an episode.
    EnclosureId = "enc_",
    /// One place in an episode that a line item fills.
    SlotId = "slt_",
    /// Who buys: each store and each campaign names one.
    BrandId = "brd_",
    /// A shop.
    StoreId = "sto_",
    /// Who buys at a store, as far as the shop says: a keyed hash.
    CustomerId = "cus_",
    /// A set of line items of one brand.
    CampaignId = "cmp_",
    /// One sold thing of an IO.
    LineId = "lin_",
    /// A promo code, case-folded and trimmed.
    CodeId = "cod_",
    /// IP* + user agent (+ session).
    ListenerId = "lsn_",
    /// One IP* of a tenant: an HMAC, never the address.
    HouseholdId = "hh_",
    /// A /24 (IPv4) or /48 (IPv6) network of a tenant: an HMAC.
    NetId = "net_",
    /// A user agent, interned from its full text.
    AgentId = "agt_",
    /// One conversion: (tenant, store, canonical order) or a group of signals without an order.
    ConversionId = "cnv_",
    /// The file, delivery or request that an event came with.
    BatchId = "bat_",
    /// One version of a rule set.
    RuleSetId = "rul_",
    /// A pattern of agents, by its text: public, so hashed without a key.
    PatternId = "pat_",
}

impl PatternId {
    /// Of a pattern's text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut hasher = siphasher::sip::SipHasher24::new();
        hasher.write(text.as_bytes());
        Self(hasher.finish().max(1))
    }
}

/// 128-bit identity of an event: a keyed hash per (tenant, source) of the source's own id, so that
/// a retry is the same event and an outsider cannot craft a collision.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EventId {
    /// Upper 64 bits.
    pub hi: u64,
    /// Lower 64 bits.
    pub lo: u64,
}

impl EventId {
    /// The id as 32 lower-case hexadecimal digits.
    #[must_use]
    pub fn to_hex(self) -> String {
        format!("{:016x}{:016x}", self.hi, self.lo)
    }

    /// Reads 32 hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let value = u128::from_str_radix(text, 16).ok()?;
        Some(Self::from(value))
    }
}

impl From<u128> for EventId {
    fn from(value: u128) -> Self {
        Self {
            hi: (value >> 64) as u64,
            lo: value as u64,
        }
    }
}

impl std::fmt::Display for EventId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}{:016x}", self.hi, self.lo)
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            (self.hi, self.lo).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
            Self::from_hex(&text)
                .ok_or_else(|| serde::de::Error::custom("an event id has 32 hexadecimal digits"))
        } else {
            let (hi, lo) = Deserialize::deserialize(deserializer)?;
            Ok(Self { hi, lo })
        }
    }
}
