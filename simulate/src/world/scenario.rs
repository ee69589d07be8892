//! How one listener fetches one episode on one day. The scenario says what becomes of it.
//!
//! Invariant 1: nothing hangs on the size of response headers: where a transfer is cut, every
//! threshold and every ad's edge is at least [`MARGIN`] bytes away.

use hostread_schemas::view::Verdict;

use super::catalog::Episode;
use crate::rng::Rng;

/// More than any response header that a log counts with the body.
const MARGIN: u64 = 4_000;
/// A page whose player starts by itself; the sample rule set denies its host.
pub(crate) const DENIED_HOST: &str = "autoplay.example.net";
const DENIED_URL: &str = "https://autoplay.example.net/widget/7";
const PLAYER_URL: &str = "https://player.example.com/embed/1";

/// One request of a scenario.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    /// Seconds after the scenario's begin.
    pub(super) after: i64,
    pub(super) method: &'static str,
    pub(super) status: u16,
    pub(super) range: Option<(u64, u64)>,
    /// Body bytes sent where the transfer was cut.
    pub(super) cut_at: Option<u64>,
    /// The filter that drops it.
    pub(super) dropped: Option<Verdict>,
    pub(super) referrer: Option<&'static str>,
    pub(super) mapped: bool,
}

impl Draft {
    const fn get(after: i64) -> Self {
        Self {
            after,
            method: "GET",
            status: 200,
            range: None,
            cut_at: None,
            dropped: None,
            referrer: None,
            mapped: false,
        }
    }

    const fn part(after: i64, first: u64, end: u64) -> Self {
        let mut draft = Self::get(after);
        draft.status = 206;
        draft.range = Some((first, end - 1));
        draft
    }

    const fn probe(after: i64) -> Self {
        let mut draft = Self::part(after, 0, 2);
        draft.dropped = Some(Verdict::Range01);
        draft
    }

    const fn method(after: i64, method: &'static str) -> Self {
        let mut draft = Self::get(after);
        draft.method = method;
        draft.dropped = Some(Verdict::Method);
        draft
    }

    const fn status(after: i64, status: u16) -> Self {
        let mut draft = Self::get(after);
        draft.status = status;
        draft.dropped = Some(Verdict::Status);
        draft
    }

    const fn cut(mut self, sent: u64) -> Self {
        self.cut_at = Some(sent);
        self
    }
}

/// What a scenario sends, and the bytes that arrive when they make a download.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) drafts: Vec<Draft>,
    /// Byte ranges `[first, end)` with gaps between them; empty = no download.
    pub(super) arrived: Vec<(u64, u64)>,
}

fn full(drafts: Vec<Draft>, episode: &Episode) -> Script {
    Script {
        drafts,
        arrived: vec![(0, episode.size)],
    }
}

const fn nothing(drafts: Vec<Draft>) -> Script {
    Script {
        drafts,
        arrived: Vec::new(),
    }
}

/// The plain scenario: all bytes in one response.
pub(super) fn plain(episode: &Episode) -> Script {
    full(vec![Draft::get(0)], episode)
}

/// A cut position near `wanted` with [`MARGIN`] to everything that matters.
fn cut_near(wanted: u64, episode: &Episode) -> u64 {
    let mut edges = vec![episode.needed()];
    for slot in &episode.slots {
        edges.extend([slot.first, slot.last + 1]);
    }
    let mut at = wanted;
    while let Some(edge) = edges.iter().find(|&&edge| edge.abs_diff(at) < MARGIN) {
        at = edge + MARGIN;
    }
    at
}

/// `[0, end)` in pieces of several sizes.
fn pieces(end: u64, rng: &mut Rng) -> Vec<(u64, u64)> {
    let size = *rng.pick(&[262_144, 524_288, 1_048_576]);
    let mut pieces = Vec::new();
    let mut first = 0;
    while first < end {
        // Never a piece of two bytes from 0: that would be a probe.
        let last = if end - first < size + 4_096 {
            end
        } else {
            first + size
        };
        pieces.push((first, last));
        first = last;
    }
    pieces
}

fn in_pieces(end: u64, rng: &mut Rng) -> Vec<Draft> {
    let mut pieces = pieces(end, rng);
    if rng.chance(2, 5) {
        rng.shuffle(&mut pieces);
    }
    let at = |(index, (first, end)): (usize, (u64, u64))| Draft::part(index as i64 * 6, first, end);
    pieces.into_iter().enumerate().map(at).collect()
}

/// Draws a scenario that `episode` allows.
pub(super) fn draw(episode: &Episode, rng: &mut Rng) -> Script {
    if episode.whole() {
        draw_whole(episode, rng)
    } else {
        draw_threshold(episode, rng)
    }
}

/// Scenarios whose answer is the same for every byte map.
fn draw_any(episode: &Episode, rng: &mut Rng) -> Script {
    let size = episode.size;
    match rng.below(64) {
        0..6 => nothing((0..=rng.range(0, 2)).map(|i| Draft::probe(i * 5)).collect()),
        6..10 => nothing(vec![Draft::method(0, "HEAD")]),
        10..15 => full(vec![Draft::method(0, "HEAD"), Draft::get(2)], episode),
        15..20 => nothing(vec![Draft::status(0, 304)]),
        20..27 => full(
            (0..=rng.range(1, 3)).map(|i| Draft::get(i * 180)).collect(),
            episode,
        ),
        27..31 => {
            let status = *rng.pick(&[403, 404, 416, 500, 503]);
            nothing(vec![Draft::status(0, status)])
        }
        31..33 => nothing(vec![Draft::method(0, "OPTIONS")]),
        33..37 => {
            let mut draft = Draft::get(0);
            (draft.referrer, draft.dropped) = (Some(DENIED_URL), Some(Verdict::Referrer));
            nothing(vec![draft])
        }
        37..41 => full(
            vec![Draft::part(0, size - 128, size), Draft::part(3, 0, size)],
            episode,
        ),
        41..44 => nothing(vec![Draft::part(0, size - 131_072, size)]),
        44..48 => {
            let mut mapped = Draft::get(0);
            mapped.mapped = true;
            full(vec![mapped, Draft::get(4)], episode)
        }
        48..58 => {
            let cut = cut_near(episode.needed() * (20 + rng.below(60)) / 100, episode);
            let resumed = Draft::part(9, cut.saturating_sub(MARGIN / 2), size);
            full(vec![Draft::get(0).cut(cut), resumed], episode)
        }
        _ => {
            let mut draft = Draft::get(0);
            draft.referrer = Some(PLAYER_URL);
            full(vec![draft], episode)
        }
    }
}

fn draw_whole(episode: &Episode, rng: &mut Rng) -> Script {
    let size = episode.size;
    match rng.below(100) {
        0..50 => plain(episode),
        50..60 => full(vec![Draft::part(0, 0, size)], episode),
        60..70 => full(vec![Draft::probe(0), Draft::part(4, 0, size)], episode),
        70..74 => nothing(vec![Draft::part(0, 0, size - 1)]),
        74..78 => nothing(vec![Draft::get(0).cut(size / 2)]),
        _ => draw_any(episode, rng),
    }
}

fn draw_threshold(episode: &Episode, rng: &mut Rng) -> Script {
    let (size, needed) = (episode.size, episode.needed());
    let prefix = |drafts, end| Script {
        drafts,
        arrived: vec![(0, end)],
    };
    match rng.below(200) {
        0..74 => plain(episode),
        74..94 => full(vec![Draft::part(0, 0, size)], episode),
        94..110 => full(vec![Draft::probe(0), Draft::part(4, 0, size)], episode),
        110..124 => {
            let end = (needed * (105 + rng.below(150)) / 100).min(size);
            prefix(in_pieces(end, rng), end)
        }
        124..129 => nothing(in_pieces(needed * (20 + rng.below(73)) / 100, rng)),
        129..133 => {
            // The sum of the bytes passes the threshold, the union does not.
            let mut open = |i: i64| Draft::part(i * 7, 0, needed * (40 + rng.below(50)) / 100);
            nothing((0..4).map(&mut open).collect())
        }
        133..135 => prefix(vec![Draft::part(0, 0, needed)], needed),
        135..137 => nothing(vec![Draft::part(0, 0, needed - 1)]),
        137..139 => prefix(vec![Draft::part(0, 0, needed + 1)], needed + 1),
        139..144 => {
            let cut = needed * (5 + rng.below(85)) / 100;
            nothing(vec![Draft::get(0).cut(cut.min(needed - MARGIN))])
        }
        144..152 => {
            let cut = cut_near(needed * (110 + rng.below(190)) / 100, episode);
            if cut + MARGIN > size {
                return plain(episode);
            }
            prefix(vec![Draft::get(0).cut(cut)], cut)
        }
        152..156 => {
            // Skips ahead: too little at the beginning, enough together.
            let audio = needed - episode.header;
            let opening = episode.header + audio / 10;
            let (first, end) = (size / 2, size / 2 + audio * 11 / 10);
            Script {
                drafts: vec![Draft::part(0, 0, opening), Draft::part(5, first, end)],
                arrived: vec![(0, opening), (first, end)],
            }
        }
        156..159 => {
            let first = size * 2 / 5;
            let end = (first + 2 * needed).min(size);
            if end - first < needed {
                return plain(episode);
            }
            Script {
                drafts: vec![Draft::part(0, first, end)],
                arrived: vec![(first, end)],
            }
        }
        _ => draw_any(episode, rng),
    }
}

/// Two parts of one fetch on both sides of midnight: bytes never carry over.
pub(super) fn midnight(episode: &Episode, rng: &mut Rng) -> (Script, Script) {
    let needed = episode.needed();
    let before = needed * (30 + rng.below(40)) / 100;
    let after = (before, before + needed + MARGIN);
    let evening = nothing(vec![Draft::part(0, 0, before)]);
    let morning = Script {
        drafts: vec![Draft::part(0, after.0, after.1)],
        arrived: vec![after],
    };
    (evening, morning)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::catalog::Catalog;

    /// Marks bytes and compares with the scenario's own answer.
    #[test]
    fn every_scenario_keeps_its_word() {
        let mut rng = Rng::new(17);
        let catalog = Catalog::new(0, 14, 4, &mut rng);
        for episode in &catalog.episodes {
            for _ in 0..400 {
                let script = draw(episode, &mut rng);
                let mut points = Vec::new();
                for draft in script.drafts.iter().filter(|draft| draft.dropped.is_none()) {
                    let (first, last) = draft.range.unwrap_or((0, episode.size - 1));
                    let sent = draft.cut_at.unwrap_or(last + 1 - first);
                    assert!(first + sent <= episode.size, "{draft:?} {}", episode.size);
                    points.push((first, first + sent));
                }
                points.sort_unstable();
                let mut union: Vec<(u64, u64)> = Vec::new();
                for (first, end) in points {
                    match union.last_mut() {
                        Some(last) if first <= last.1 => last.1 = last.1.max(end),
                        _ => union.push((first, end)),
                    }
                }
                let bytes: u64 = union.iter().map(|(first, end)| end - first).sum();
                if script.arrived.is_empty() {
                    assert!(bytes < episode.needed(), "{script:?}");
                } else {
                    assert_eq!(union, script.arrived, "{script:?}");
                    assert!(bytes >= episode.needed(), "{script:?}");
                }
            }
        }
    }
}
