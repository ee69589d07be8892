//! How many bytes make a download, and which bytes a request brings (definition 4).
//!
//! Promises: absurd sizes saturate. Leaves out: whose requests belong together.

use hostread_schemas::event::SourceKind;
use hostread_schemas::fact::{EpisodeFact, RequestFact};

use crate::bytes::{self, ByteRange};

/// Bytes that make a download of an episode (definition 4). Zero in the fact means "not known".
///
/// The rate of an episode that the catalog calls VBR is not constant and is not used.
#[must_use]
pub fn needed_bytes(episode: &EpisodeFact, threshold_secs: u32) -> u64 {
    let size = episode.size_bytes;
    let secs = u64::from(threshold_secs);
    let duration = u64::from(episode.duration_secs);
    let audio = if duration != 0 && duration < secs {
        None
    } else if episode.vbr {
        let audio = u128::from(size.saturating_sub(episode.header_bytes));
        // Without a size nothing is known of a rate that varies.
        (duration != 0 && size != 0)
            .then(|| (u128::from(secs) * audio).div_ceil(u128::from(duration)) as u64)
    } else {
        let rate = u64::from(episode.bit_rate);
        (rate != 0).then(|| (rate * secs).div_ceil(8))
    };
    let needed = audio.map_or(size, |audio| episode.header_bytes.saturating_add(audio));
    let most = if size == 0 { u64::MAX } else { size };
    needed.min(most).max(1)
}

/// The bytes that a request brings towards the union.
#[must_use]
pub fn sent(request: &RequestFact, episode: &EpisodeFact, needed: u64) -> ByteRange {
    match request.source_kind {
        SourceKind::Cdn => bytes::range(request.sent_first, request.sent_bytes),
        // Its bytes are not known: the whole file, which always makes a download.
        SourceKind::Prefix => {
            let whole = match request.total_bytes {
                0 => episode.size_bytes,
                total => total,
            };
            (0, whole.max(needed))
        }
    }
}
