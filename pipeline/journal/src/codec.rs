//! Bytes of facts, the same in the tick log and in day files.
//!
//! ```text
//! sized fact = length u32 LE | tag u8 | postcard(fact)      tag: class in bits 0-1, bit 7 = taken away (diff -1)
//! block      = packed u8 | raw length u32 LE | bytes        packed: 0 as it is, 1 lz4
//! ```
//! Promises: the fact's own bytes are contiguous, so the head hashes and indexes them without decoding the body.
//! Invariant 1: `postcard(fact)` starts with tenant, time and event id ([`prefix`]); a test holds it to that.

use std::hash::Hasher;

use hostread_schemas::fact::{Carry, Fact, FactBody, RetentionClass};
use hostread_schemas::{EventId, EventTimeMs, TenantId};
use serde::Serialize;
use siphasher::sip::SipHasher13;

use crate::error::{JournalError, Result};
use crate::table::HASH_BITS;

/// Largest fact. A rule set with 100,000 networks is 1 MiB.
pub(crate) const FACT_BYTES_MAX: usize = 8 << 20;
/// Blocks shorter than this are not worth packing.
const PACK_BYTES_MIN: usize = 256;
const TAKEN_AWAY: u8 = 0x80;

/// Appends the postcard form of a value.
pub(crate) fn put<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<()> {
    let start = out.len();
    let mut room = 512;
    loop {
        out.resize(start + room, 0);
        match postcard::to_slice(value, &mut out[start..]) {
            Ok(used) => {
                let len = used.len();
                out.truncate(start + len);
                return Ok(());
            }
            Err(postcard::Error::SerializeBufferFull) if room < 8 * FACT_BYTES_MAX => room *= 8,
            Err(error) => {
                out.truncate(start);
                return Err(JournalError::Encode(error));
            }
        }
    }
}

/// Hash of a fact's bytes: equal facts, equal hashes; among facts of one id and revision the largest wins.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(0x686f_7374_7265_6164, 0x6a6f_7572_6e61_6c31);
    hasher.write(bytes);
    hasher.finish() >> (64 - HASH_BITS)
}

/// Of the facts that say something of one event, the one with the highest of these is live; `None`: it is over the limit.
#[must_use]
pub fn precedence(fact: &Fact, revision: u32) -> Option<(u32, u64)> {
    let mut bytes = Vec::new();
    put(fact, &mut bytes).ok()?;
    (bytes.len() <= FACT_BYTES_MAX).then(|| (revision, hash(&bytes)))
}

/// Tenant, time and id of a fact, from its bytes.
pub(crate) fn prefix(bytes: &[u8]) -> Option<(TenantId, EventTimeMs, EventId)> {
    type Prefix = (TenantId, EventTimeMs, EventId);
    let (prefix, _) = postcard::take_from_bytes::<Prefix>(bytes).ok()?;
    Some(prefix)
}

const fn class_tag(class: RetentionClass) -> u8 {
    match class {
        RetentionClass::Exposure => 1,
        RetentionClass::Conversion => 2,
        RetentionClass::Reference => 3,
    }
}

/// Appends a sized fact.
pub(crate) fn put_fact(fact: &Fact, taken_away: bool, out: &mut Vec<u8>) -> Result<()> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.push(class_tag(fact.body.class()) | if taken_away { TAKEN_AWAY } else { 0 });
    put(fact, out)?;
    let len = (out.len() - start - 5) as u32;
    out[start..start + 4].copy_from_slice(&len.to_le_bytes());
    Ok(())
}

/// What stands at the end of a fact since its kind was first written, when it says nothing; an older one ends before it.
const NOTHING_SAID: [u8; 2] = [0; 2];

/// How much an older fact of its kind may lack: a rule set two lists, a signal its customer.
const fn lacks_at_most(body: &FactBody) -> usize {
    match body {
        FactBody::RuleSet(_) => 2,
        FactBody::Signal(_) | FactBody::Carry(Carry::Signal { .. }) => 1,
        _ => 0,
    }
}

fn whole(bytes: &[u8]) -> Option<Fact> {
    let (fact, rest) = postcard::take_from_bytes::<Fact>(bytes).ok()?;
    rest.is_empty().then_some(fact)
}

/// A sized fact that was not decoded yet.
#[derive(Clone, Copy)]
pub(crate) struct RawFact<'a> {
    pub(crate) class: RetentionClass,
    pub(crate) taken_away: bool,
    pub(crate) bytes: &'a [u8],
}

impl RawFact<'_> {
    pub(crate) fn decode(&self) -> Option<Fact> {
        whole(self.bytes).or_else(|| {
            let mut ends = (1..=NOTHING_SAID.len()).filter_map(|count| NOTHING_SAID.get(..count));
            ends.find_map(|end| {
                let fact = whole(&[self.bytes, end].concat())?;
                (end.len() <= lacks_at_most(&fact.body)).then_some(fact)
            })
        })
    }
}

/// Takes the next sized fact off a block.
pub(crate) fn take_fact<'a>(block: &mut &'a [u8]) -> Option<RawFact<'a>> {
    let (len, rest) = block.split_first_chunk::<4>()?;
    let (tag, rest) = rest.split_first()?;
    let (bytes, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
    *block = rest;
    Some(RawFact {
        class: match tag & 3 {
            1 => RetentionClass::Exposure,
            2 => RetentionClass::Conversion,
            3 => RetentionClass::Reference,
            _ => return None,
        },
        taken_away: tag & TAKEN_AWAY != 0,
        bytes,
    })
}

/// Appends a block, packed where that saves an eighth.
pub(crate) fn put_block(raw: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.push(0);
    out.extend_from_slice(&(raw.len() as u32).to_le_bytes());
    if raw.len() >= PACK_BYTES_MIN {
        let body = out.len();
        out.resize(
            body + lz4_flex::block::get_maximum_output_size(raw.len()),
            0,
        );
        if let Ok(len) = lz4_flex::block::compress_into(raw, &mut out[body..])
            && len < raw.len() - raw.len() / 8
        {
            out.truncate(body + len);
            out[start] = 1;
            return;
        }
        out.truncate(body);
    }
    out.extend_from_slice(raw);
}

/// The raw bytes of a block; `buffer` holds them when they were packed.
pub(crate) fn open_block<'a>(block: &'a [u8], buffer: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    let (packed, rest) = block.split_first()?;
    let (len, bytes) = rest.split_first_chunk::<4>()?;
    let len = u32::from_le_bytes(*len) as usize;
    if *packed == 0 {
        return (bytes.len() == len).then_some(bytes);
    }
    // lz4 makes at most 255 bytes of one.
    if *packed != 1 || len > bytes.len().saturating_mul(255) {
        return None;
    }
    buffer.resize(len, 0);
    let got = lz4_flex::block::decompress_into(bytes, buffer).ok()?;
    (got == len).then_some(buffer.as_slice())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests panic")]
mod tests {
    use hostread_schemas::fact::{EpisodeFact, RequestFact, RuleSetFact, SignalFact};
    use hostread_schemas::{AgentId, CustomerId, Day, EnclosureId, NetId};

    use super::*;

    fn facts() -> Vec<Fact> {
        let bodies = [
            FactBody::Request(RequestFact::default()),
            FactBody::Agent(AgentId(7), "agent".repeat(500)),
            FactBody::Episode(EpisodeFact {
                enclosures: vec![EnclosureId(7); 300],
                ..EpisodeFact::default()
            }),
        ];
        let time = [EventTimeMs(-5), EventTimeMs(0), EventTimeMs(i64::MAX)];
        bodies
            .into_iter()
            .zip(time)
            .map(|(body, time)| Fact {
                tenant: TenantId(u64::MAX - 3),
                time,
                id: EventId {
                    hi: 1,
                    lo: u64::MAX,
                },
                body,
            })
            .collect()
    }

    #[test]
    fn facts_come_back_and_their_prefix_reads_alone() {
        let mut raw = Vec::new();
        for (fact, away) in facts().iter().zip([false, true, false]) {
            put_fact(fact, away, &mut raw).unwrap();
        }
        let mut block = Vec::new();
        put_block(&raw, &mut block);
        assert!(block.len() < raw.len(), "repeating text packs");
        let mut buffer = Vec::new();
        let mut bytes = open_block(&block, &mut buffer).unwrap();
        for (fact, away) in facts().iter().zip([false, true, false]) {
            let taken = take_fact(&mut bytes).unwrap();
            assert_eq!(taken.decode().as_ref(), Some(fact));
            assert_eq!((taken.taken_away, taken.class), (away, fact.body.class()));
            assert_eq!(prefix(taken.bytes), Some((fact.tenant, fact.time, fact.id)));
        }
        assert!(bytes.is_empty() && take_fact(&mut bytes).is_none());
    }

    /// A rule set as it was written before it had an inclusion list, or agents that are no bots.
    #[test]
    fn an_older_rule_set_has_no_newer_lists() {
        fn read(bytes: &[u8]) -> Option<Fact> {
            let raw = RawFact {
                class: RetentionClass::Reference,
                taken_away: false,
                bytes,
            };
            raw.decode()
        }
        let rules = RuleSetFact {
            nonhuman_nets: vec![NetId(7)],
            ip_volume_downloads_max: 100,
            ..RuleSetFact::default()
        };
        let body = FactBody::RuleSet(rules);
        let fact = Fact {
            body,
            ..facts().remove(0)
        };
        let mut bytes = Vec::new();
        put(&fact, &mut bytes).unwrap();
        assert_eq!(read(&bytes), Some(fact.clone()));
        for _ in NOTHING_SAID {
            assert_eq!(bytes.pop(), Some(0));
            assert_eq!(read(&bytes), Some(fact.clone()));
        }
        bytes.pop();
        assert_eq!(read(&bytes), None);
        let mut request = Vec::new();
        put(&facts()[0], &mut request).unwrap();
        request.pop();
        assert_eq!(read(&request), None, "other facts are whole");
    }

    /// A signal as it was written before it had a customer, by itself and carried.
    #[test]
    fn an_older_signal_has_no_customer() {
        let read = |bytes: &[u8]| {
            let raw = RawFact {
                class: RetentionClass::Conversion,
                taken_away: false,
                bytes,
            };
            raw.decode()
        };
        let bought = SignalFact {
            test: true,
            ..SignalFact::default()
        };
        let carried = |signal| Carry::Signal {
            until: Day(7),
            time: EventTimeMs(7),
            id: EventId::default(),
            signal,
        };
        for body in [FactBody::Signal(bought), FactBody::Carry(carried(bought))] {
            let fact = Fact {
                body,
                ..facts().remove(0)
            };
            let mut bytes = Vec::new();
            put(&fact, &mut bytes).unwrap();
            assert_eq!(read(&bytes), Some(fact.clone()));
            assert_eq!(bytes.pop(), Some(0));
            assert_eq!(read(&bytes), Some(fact));
            bytes.pop();
            assert_eq!(read(&bytes), None, "no more than that");
        }
        let known = SignalFact {
            customer: CustomerId(7),
            ..bought
        };
        let fact = Fact {
            body: FactBody::Signal(known),
            ..facts().remove(0)
        };
        let mut bytes = Vec::new();
        put(&fact, &mut bytes).unwrap();
        assert_eq!(read(&bytes), Some(fact));
    }

    #[test]
    fn cut_blocks_are_refused() {
        let mut block = Vec::new();
        put_block(&[7; 1000], &mut block);
        let mut buffer = Vec::new();
        for len in 0..block.len() {
            assert!(open_block(&block[..len], &mut buffer).is_none());
        }
    }
}
