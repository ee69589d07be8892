//! What every sink must do, run against the sink's real store. A case panics with what it found.
//! Needs: a store that nobody else uses (it is emptied again and again).
//! Promises: a sink that passes keeps the invariants of [`crate`], for every view that it takes.

pub mod samples;

use std::collections::BTreeMap;

use async_trait::async_trait;
use hostread_schemas::Tick;
use hostread_schemas::view::{View, ViewKey, ViewValue};

use crate::{
    CHUNK_ROWS_MAX, Columns, Dump, Progress, RangeBatch, Sink, SinkError, SinkErrorKind, Upsert,
};

/// A store and the sinks on it.
#[async_trait]
pub trait Target: Send + Sync {
    /// The sink.
    type Sink: Sink + Dump;
    /// A further handle on the same store.
    async fn connect(&self) -> Self::Sink;
    /// Sets the stored upper back, as if a stop had come between the rows and the progress.
    async fn lose_progress(&self, to: Progress);
    /// Do dumps show names?
    fn shows_names(&self) -> bool {
        true
    }
}

const JOURNAL: u128 = 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef;

type Dumps = BTreeMap<View, Vec<String>>;
/// One change of one row: tick, view, number of the key, number of the value.
type Step = (u64, View, u64, Option<u64>);

/// Runs every case.
pub async fn run<T: Target>(target: &T) {
    every_view_is_kept(target).await;
    repeats_change_nothing(target).await;
    gaps_are_refused(target).await;
    malformed_ranges_are_refused(target).await;
    an_old_owner_is_refused(target).await;
    another_journal_is_refused(target).await;
    a_closed_sink_writes_nothing(target).await;
    a_straddling_range_is_cut(target).await;
    rows_come_and_go(target).await;
    equal_values_are_written(target).await;
    a_new_owner_overwrites_what_had_no_progress(target).await;
    what_was_begun_is_known(target).await;
    a_restart_at_any_upper_ends_the_same(target).await;
    names_survive(target).await;
    more_than_a_chunk(target).await;
}

/// A range from steps; the last one of a key counts.
#[must_use]
pub fn range(lower: u64, upper: u64, steps: &[Step]) -> RangeBatch {
    let mut rows: BTreeMap<ViewKey, (Tick, Option<ViewValue>)> = BTreeMap::new();
    for (tick, view, key, value) in steps {
        if (lower..upper).contains(tick) {
            let value = value.map(|n| samples::value(*view, n));
            rows.insert(samples::key(*view, *key), (Tick(*tick), value));
        }
    }
    let upserts = rows
        .into_iter()
        .map(|(key, (tick, value))| Upsert { tick, key, value });
    RangeBatch {
        lower: Tick(lower),
        upper: Tick(upper),
        upserts: upserts.collect(),
        withheld: Vec::new(),
        freshness: None,
        rows_done: std::sync::Arc::default(),
    }
}

async fn emptied<T: Target>(target: &T) -> T::Sink {
    let mut sink = target.connect().await;
    sink.migrate().await.expect("migrations run");
    sink.clear().await.expect("the store can be emptied");
    sink
}

async fn opened<T: Target>(target: &T) -> T::Sink {
    let mut sink = emptied(target).await;
    let progress = sink.open(JOURNAL).await.expect("an empty store opens");
    let first = Progress {
        journal_id: JOURNAL,
        epoch: 1,
        upper: Tick(0),
    };
    assert_eq!(progress, first);
    sink
}

async fn reopened<T: Target>(target: &T) -> (T::Sink, Progress) {
    let mut sink = target.connect().await;
    let progress = sink.open(JOURNAL).await.expect("the same journal opens");
    (sink, progress)
}

async fn apply<S: Sink>(sink: &mut S, lower: u64, upper: u64, steps: &[Step]) {
    let batch = range(lower, upper, steps);
    let before = upper_of(sink).await;
    sink.apply(&batch, &samples::names())
        .await
        .expect("the range is written");
    let after = upper_of(sink).await;
    assert_eq!(
        after,
        before.max(Tick(upper)),
        "the upper after {lower}..{upper}"
    );
}

async fn refused<S: Sink>(sink: &mut S, batch: &RangeBatch) -> SinkError {
    let before = sink.progress().await.expect("progress reads");
    let refused = sink
        .apply(batch, &samples::names())
        .await
        .expect_err("the range is refused");
    let after = sink.progress().await.expect("progress reads");
    assert_eq!(before, after, "a refused range moves no progress");
    refused
}

async fn upper_of<S: Sink>(sink: &S) -> Tick {
    let progress = sink.progress().await.expect("progress reads");
    progress.expect("progress is stored").upper
}

async fn dumps<S: Sink + Dump>(sink: &S, columns: Columns) -> Dumps {
    let mut dumps = Dumps::new();
    for view in View::ALL {
        let lines = sink.dump(*view, columns).await.expect("a view reads back");
        dumps.insert(*view, lines);
    }
    dumps
}

/// What a sink shows after one whole range in an empty store.
async fn clean<T: Target>(target: &T, upper: u64, steps: &[Step]) -> Dumps {
    let mut sink = opened(target).await;
    apply(&mut sink, 0, upper, steps).await;
    dumps(&sink, Columns::Row).await
}

fn counts(dumps: &Dumps) -> Vec<(View, usize)> {
    dumps
        .iter()
        .map(|(view, lines)| (*view, lines.len()))
        .collect()
}

/// A few rows of every view at a tick, starting at key `first`, with values from `value`.
fn of_every_view(tick: u64, first: u64, count: u64, value: u64) -> Vec<Step> {
    let views = View::ALL.iter();
    let steps =
        views.flat_map(|view| (first..first + count).map(|n| (tick, *view, n, Some(value + n))));
    steps.collect()
}

async fn every_view_is_kept<T: Target>(target: &T) {
    let mut sink = opened(target).await;
    apply(&mut sink, 0, 20, &of_every_view(5, 1, 12, 100)).await;
    let kept = sink.views();
    let expected: Vec<(View, usize)> = View::ALL
        .iter()
        .map(|view| (*view, if kept.contains(view) { 12 } else { 0 }))
        .collect();
    assert_eq!(counts(&dumps(&sink, Columns::Row).await), expected);
}

async fn repeats_change_nothing<T: Target>(target: &T) {
    let mut sink = opened(target).await;
    let steps = of_every_view(3, 1, 3, 100);
    apply(&mut sink, 0, 10, &steps).await;
    let once = dumps(&sink, Columns::RowAndVersion).await;
    apply(&mut sink, 0, 10, &steps).await;
    apply(&mut sink, 2, 7, &of_every_view(4, 1, 3, 500)).await;
    assert_eq!(dumps(&sink, Columns::RowAndVersion).await, once);
    assert_eq!(upper_of(&sink).await, Tick(10));
}

async fn gaps_are_refused<T: Target>(target: &T) {
    let mut sink = opened(target).await;
    apply(&mut sink, 0, 10, &of_every_view(3, 1, 1, 100)).await;
    let before = dumps(&sink, Columns::RowAndVersion).await;
    let error = refused(&mut sink, &range(11, 12, &of_every_view(11, 2, 1, 100))).await;
    assert!(matches!(error, SinkError::Gap { .. }), "{error}");
    assert_eq!(dumps(&sink, Columns::RowAndVersion).await, before);
}

async fn malformed_ranges_are_refused<T: Target>(target: &T) {
    let mut sink = opened(target).await;
    let good = range(0, 10, &of_every_view(3, 1, 2, 100));
    let mut unsorted = good.clone();
    unsorted.upserts.reverse();
    let mut twice = good.clone();
    twice.upserts.extend(good.upserts.last().cloned());
    let mut outside = good.clone();
    outside
        .upserts
        .iter_mut()
        .for_each(|upsert| upsert.tick = Tick(10));
    let mut other_value = good.clone();
    other_value.upserts.iter_mut().for_each(|upsert| {
        let other = match upsert.key.view() {
            View::Pacing => View::Verdicts,
            _ => View::Pacing,
        };
        upsert.value = Some(samples::value(other, 1));
    });
    let empty = range(0, 0, &[]);
    for batch in [unsorted, twice, outside, other_value, empty] {
        let error = refused(&mut sink, &batch).await;
        assert!(matches!(error, SinkError::Malformed { .. }), "{error}");
    }
    assert!(dumps(&sink, Columns::Row).await.values().all(Vec::is_empty));
}

async fn an_old_owner_is_refused<T: Target>(target: &T) {
    let mut old = opened(target).await;
    apply(&mut old, 0, 10, &of_every_view(3, 1, 1, 100)).await;
    let (mut new, progress) = reopened(target).await;
    assert_eq!((progress.epoch, progress.upper), (2, Tick(10)));
    let before = dumps(&new, Columns::RowAndVersion).await;
    let error = refused(&mut old, &range(10, 12, &of_every_view(11, 2, 1, 100))).await;
    assert_eq!(error.kind(), SinkErrorKind::Fenced, "{error}");
    assert_eq!(dumps(&new, Columns::RowAndVersion).await, before);
    apply(&mut new, 10, 12, &of_every_view(11, 2, 1, 100)).await;
}

async fn another_journal_is_refused<T: Target>(target: &T) {
    let mut sink = opened(target).await;
    apply(&mut sink, 0, 10, &of_every_view(3, 1, 1, 100)).await;
    let mut other = target.connect().await;
    let error = other
        .open(JOURNAL + 1)
        .await
        .expect_err("another journal is refused");
    assert_eq!(error.kind(), SinkErrorKind::Input);
    assert!(
        error.to_string().contains("hostread sinks resync"),
        "{error}"
    );
    assert_eq!(upper_of(&sink).await, Tick(10));
    other.clear().await.expect("the store can be emptied");
    assert!(
        dumps(&other, Columns::Row)
            .await
            .values()
            .all(Vec::is_empty)
    );
    let progress = other.open(JOURNAL + 1).await.expect("an empty store opens");
    assert_eq!((progress.epoch, progress.upper), (1, Tick(0)));
    let error = refused(&mut sink, &range(10, 12, &[])).await;
    assert!(matches!(error, SinkError::OtherJournal { .. }), "{error}");
}

async fn a_closed_sink_writes_nothing<T: Target>(target: &T) {
    let mut sink = emptied(target).await;
    let error = refused(&mut sink, &range(0, 10, &of_every_view(3, 1, 1, 100))).await;
    assert!(matches!(error, SinkError::NotOpen { .. }), "{error}");
}

async fn a_straddling_range_is_cut<T: Target>(target: &T) {
    let mut sink = opened(target).await;
    let old = of_every_view(7, 1, 2, 100);
    let new = of_every_view(12, 3, 2, 200);
    apply(&mut sink, 0, 10, &old).await;
    // What is below the stored upper has other values here, to show that it is not written again.
    let other = of_every_view(8, 1, 2, 900);
    apply(&mut sink, 5, 15, &[other, new.clone()].concat()).await;
    let found = dumps(&sink, Columns::Row).await;
    let expected = clean(target, 15, &[old, new].concat()).await;
    assert_eq!(found, expected);
}

/// A row comes, changes, goes, comes back; another one goes that never was; a third comes and goes within a range.
fn coming_and_going() -> Vec<Step> {
    let steps = View::ALL.iter().flat_map(|view| {
        [
            (0, *view, 1, Some(10)),
            (0, *view, 2, Some(20)),
            (1, *view, 1, Some(11)),
            (2, *view, 1, None),
            (2, *view, 3, None),
            (3, *view, 2, Some(21)),
            (3, *view, 4, Some(40)),
            (4, *view, 4, None),
            (4, *view, 1, Some(12)),
            (5, *view, 2, None),
            (5, *view, 5, Some(50)),
        ]
    });
    let mut steps: Vec<Step> = steps.collect();
    steps.sort_by_key(|(tick, ..)| *tick);
    steps
}

async fn rows_come_and_go<T: Target>(target: &T) {
    let steps = coming_and_going();
    let mut sink = opened(target).await;
    let mut seen = Vec::new();
    for tick in 0..6 {
        apply(&mut sink, tick, tick + 1, &steps).await;
        let view = sink
            .views()
            .first()
            .copied()
            .expect("a sink keeps some view");
        seen.push(
            sink.dump(view, Columns::Row)
                .await
                .expect("a view reads back")
                .len(),
        );
    }
    assert_eq!(seen, [2, 2, 1, 2, 2, 2]);
    assert_eq!(
        dumps(&sink, Columns::Row).await,
        clean(target, 6, &steps).await
    );
}

async fn equal_values_are_written<T: Target>(target: &T) {
    let mut sink = opened(target).await;
    let rows = |tick| of_every_view(tick, 1, 2, 100);
    apply(&mut sink, 0, 10, &rows(3)).await;
    let row = dumps(&sink, Columns::Row).await;
    let version = dumps(&sink, Columns::RowAndVersion).await;
    apply(&mut sink, 10, 20, &rows(13)).await;
    assert_eq!(dumps(&sink, Columns::Row).await, row);
    let now = dumps(&sink, Columns::RowAndVersion).await;
    for view in sink.views() {
        assert_ne!(now.get(view), version.get(view), "{view:?}");
    }
}

async fn a_new_owner_overwrites_what_had_no_progress<T: Target>(target: &T) {
    let mut steps = Vec::new();
    for view in View::ALL {
        steps.extend([
            (5, *view, 1, Some(10)),
            (5, *view, 2, Some(20)),
            (12, *view, 2, None),
            (13, *view, 1, Some(11)),
            (15, *view, 3, Some(30)),
            (17, *view, 1, Some(12)),
            (18, *view, 3, None),
            (18, *view, 4, Some(40)),
        ]);
    }
    steps.sort_by_key(|(tick, ..)| *tick);
    let mut first = opened(target).await;
    apply(&mut first, 0, 10, &steps).await;
    apply(&mut first, 10, 20, &steps).await;
    let lost = Progress {
        journal_id: JOURNAL,
        epoch: 1,
        upper: Tick(10),
    };
    target.lose_progress(lost).await;
    let (mut second, progress) = reopened(target).await;
    assert_eq!((progress.epoch, progress.upper), (2, Tick(10)));
    apply(&mut second, 10, 16, &steps).await;
    apply(&mut second, 16, 20, &steps).await;
    assert_eq!(
        dumps(&second, Columns::Row).await,
        clean(target, 20, &steps).await
    );
}

/// A sink whose ranges become visible row by row says how far its rows go.
async fn what_was_begun_is_known<T: Target>(target: &T) {
    let mut sink = opened(target).await;
    let begun = sink.begun_upper().await.expect("the rows' ticks read");
    assert_eq!(begun, Tick(0), "an empty store");
    apply(&mut sink, 0, 20, &of_every_view(13, 1, 2, 100)).await;
    let begun = sink.begun_upper().await.expect("the rows' ticks read");
    assert!(begun == Tick(0) || begun == Tick(14), "{begun:?}");
}

async fn a_restart_at_any_upper_ends_the_same<T: Target>(target: &T) {
    let steps = coming_and_going();
    let expected = clean(target, 6, &steps).await;
    for stop in 0..=6 {
        let mut first = opened(target).await;
        for tick in 0..stop {
            apply(&mut first, tick, tick + 1, &steps).await;
        }
        let (mut second, progress) = reopened(target).await;
        assert_eq!((progress.epoch, progress.upper), (2, Tick(stop)));
        // Another sink was behind: ranges come from below our upper, cut otherwise.
        let lower = stop.saturating_sub(2);
        let middle = (stop + 2).min(6);
        for (lower, upper) in [(lower, middle), (middle, 6)] {
            if lower < upper {
                apply(&mut second, lower, upper, &steps).await;
            }
        }
        assert_eq!(
            dumps(&second, Columns::Row).await,
            expected,
            "stopped at {stop}"
        );
    }
}

async fn names_survive<T: Target>(target: &T) {
    let mut sink = opened(target).await;
    let count = samples::NAMES.len() as u64;
    apply(&mut sink, 0, 10, &of_every_view(3, 1, count, 1)).await;
    let found = dumps(&sink, Columns::Row).await;
    for view in sink.views() {
        let lines = found.get(view).expect("every view was read");
        assert_eq!(lines.len(), samples::NAMES.len(), "{view:?}");
    }
    if target.shows_names() {
        let lines = found
            .get(&View::DeliveryDaily)
            .expect("every view was read");
        for name in [
            "it's",
            "日本語 🎙️",
            "DROP TABLE verdicts",
            "\u{202e}right-to-left\u{feff}",
            " spaces ",
        ] {
            assert!(
                lines.iter().any(|line| line.contains(name)),
                "{name} in {lines:#?}"
            );
        }
    }
    // The same names again, from the next owner: no second rows.
    let (mut next, _) = reopened(target).await;
    apply(&mut next, 10, 20, &of_every_view(13, 1, count, 1)).await;
    assert_eq!(dumps(&next, Columns::Row).await, found);
}

async fn more_than_a_chunk<T: Target>(target: &T) {
    let mut sink = opened(target).await;
    let rows = CHUNK_ROWS_MAX as u64 + 10;
    let view = sink
        .views()
        .first()
        .copied()
        .expect("a sink keeps some view");
    let steps: Vec<Step> = (1..=rows).map(|n| (1, view, n, Some(n))).collect();
    apply(&mut sink, 0, 2, &steps).await;
    let lines = sink
        .dump(view, Columns::Row)
        .await
        .expect("a view reads back");
    assert_eq!(lines.len() as u64, rows);
}

/// The memory sink's store.
#[async_trait]
impl Target for crate::MemoryStore {
    type Sink = crate::MemorySink;

    async fn connect(&self) -> Self::Sink {
        crate::MemorySink::new(self.clone())
    }

    async fn lose_progress(&self, to: Progress) {
        self.set_progress(to);
    }

    fn shows_names(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_memory_sink_conforms() {
        run(&crate::MemoryStore::default()).await;
    }
}
