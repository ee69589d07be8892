//! What a sink must show: the rows of the uninterrupted run as of its upper, and no more writing than that takes.

use std::collections::{BTreeMap, BTreeSet};

use hostread_rules::{Horizons, Numbers, metrics};
use hostread_schemas::Tick;
use hostread_schemas::view::{Metric, NumberKey, View, ViewClass, ViewKey, ViewValue};

use crate::sink::Server;
use crate::tape::Tape;

type Rows = BTreeMap<ViewKey, ViewValue>;
/// Old and new by tick.
type Ledger = BTreeMap<(NumberKey, Metric), BTreeMap<Tick, (i64, i64)>>;

/// What a sink showed at its upper.
pub(crate) struct Shown {
    views: &'static [View],
    rows: Rows,
    /// The tick that wrote each row.
    ticks: BTreeMap<ViewKey, Tick>,
    upper: Tick,
    /// Emptied; it is filled again as of what the journal has then.
    empty: bool,
    /// A row of a tick before may stand there as of this one.
    filled: Tick,
    /// Moves of published numbers.
    pub(crate) restated: u64,
}

impl Shown {
    pub(crate) const fn new(views: &'static [View]) -> Self {
        Self {
            views,
            rows: Rows::new(),
            ticks: BTreeMap::new(),
            upper: Tick(0),
            empty: false,
            filled: Tick(0),
            restated: 0,
        }
    }

    /// The sink was emptied.
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        self.ticks.clear();
        self.upper = Tick(0);
        self.empty = true;
    }

    /// It was emptied and is not filled yet.
    pub(crate) const fn is_empty(&self) -> bool {
        self.empty
    }

    /// A job starts that fills it again, if it is empty.
    pub(crate) fn filled_again(&mut self, since: Tick) {
        if self.empty {
            self.filled = since;
        }
    }

    pub(crate) const fn upper(&self) -> Tick {
        self.upper
    }

    pub(crate) const fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Rows that the ticks from the stored upper to `upper` change.
    pub(crate) fn changed(&self, tape: &Tape, upper: Tick) -> u64 {
        let changes = tape.changes(self.upper, upper.max(self.upper));
        let keys: BTreeSet<&ViewKey> = changes.map(|change| &change.key).collect();
        let ours = keys.iter().filter(|key| self.views.contains(&key.view()));
        ours.count() as u64
    }

    /// A range was written.
    pub(crate) fn follow(&mut self, tape: &Tape, server: &Server, horizons: &Horizons) {
        let upper = server.upper();
        assert!(
            upper >= self.upper,
            "invariant 1: {} to {upper}",
            self.upper
        );
        assert!(
            upper <= tape.last().next(),
            "invariant 2: {upper} is not durable"
        );
        let clock = tape.clock(Tick(self.upper.0.saturating_sub(1)));
        let mut numbers = BTreeMap::new();
        for change in tape.changes(self.upper, upper) {
            if !self.views.contains(&change.key.view()) {
                continue;
            }
            let old = self.rows.get(&change.key);
            if is_number(&change.key) && !numbers.contains_key(&change.key) {
                numbers.insert(change.key, old.cloned());
            }
            if change.old.is_some() || !tape.forgotten(&change.key, change.tick) {
                assert_eq!(old, change.old.as_ref(), "{:?}", change.key);
            }
            match &change.new {
                Some(new) => {
                    self.rows.insert(change.key, new.clone());
                    self.ticks.insert(change.key, change.tick);
                }
                None => {
                    self.rows.remove(&change.key);
                    self.ticks.remove(&change.key);
                }
            }
        }
        server.store.with_rows(|rows| same(rows, &self.rows));
        for (key, tick) in server.store.row_ticks() {
            let filled = tick <= self.filled && self.ticks[&key] <= self.filled;
            assert!(
                tick == self.ticks[&key] || filled,
                "invariant 5: {key:?} is of another tick"
            );
        }
        self.empty = false;
        let ledger = self.ledger(upper);
        for (key, old) in numbers {
            let old = old.and_then(|old| metrics(&key, &old));
            let new = self.rows.get(&key).and_then(|new| metrics(&key, new));
            let published = |numbers: &&Numbers| horizons.published(numbers.1, clock);
            if new
                .as_ref()
                .or(old.as_ref())
                .is_some_and(|numbers| published(&numbers))
            {
                self.restated += restated(old.as_ref(), new.as_ref(), &ledger);
            }
        }
        self.upper = upper;
    }

    /// The restatements since the stored upper.
    fn ledger(&self, upper: Tick) -> Ledger {
        let mut ledger = Ledger::new();
        for (key, value) in &self.rows {
            if let (ViewKey::Restatements(key), ViewValue::Restatements(row)) = (key, value)
                && key.tick >= self.upper
                && key.tick < upper
            {
                let of_number = ledger.entry((key.of, key.metric)).or_default();
                of_number.insert(key.tick, (row.old, row.new));
            }
        }
        ledger
    }
}

/// A number that was published before the range began has a restatement for every step that it moved.
fn restated(old: Option<&Numbers>, new: Option<&Numbers>, ledger: &Ledger) -> u64 {
    let Some((number, _, all)) = new.or(old) else {
        return 0;
    };
    let mut moves = 0;
    for (metric, _) in all {
        let mut value = column(old, *metric);
        for (from, to) in ledger
            .get(&(*number, *metric))
            .into_iter()
            .flat_map(|it| it.values())
        {
            assert_eq!(value, *from, "invariant 6: {number:?} {metric:?}");
            value = *to;
            moves += 1;
        }
        let now = column(new, *metric);
        assert_eq!(value, now, "invariant 6: {number:?} {metric:?}");
    }
    moves
}

fn is_number(key: &ViewKey) -> bool {
    matches!(
        key.view(),
        View::DownloadsDaily | View::AttributionDaily | View::DeliveryDaily | View::BillingLines
    )
}

fn column(numbers: Option<&Numbers>, metric: Metric) -> i64 {
    let columns = numbers.map_or(&[][..], |(_, _, columns)| columns);
    let found = columns.iter().find(|(of, _)| *of == metric);
    found.map_or(0, |(_, value)| *value)
}

/// The rows that stand are the ones that should.
pub(crate) fn same(found: &Rows, expected: &Rows) {
    if found == expected {
        return;
    }
    let keys: BTreeSet<&ViewKey> = found.keys().chain(expected.keys()).collect();
    let differ = keys
        .into_iter()
        .map(|key| (key, found.get(key), expected.get(key)))
        .filter(|(_, found, expected)| found != expected);
    let text: Vec<String> = differ
        .take(4)
        .map(|(key, found, expected)| format!("{key:?}\n  is    {found:?}\n  ought {expected:?}"))
        .collect();
    panic!("invariant 5:\n{}", text.join("\n"));
}

/// Rows of views that say the same however the ticks were cut.
pub(crate) fn numbers(rows: &Rows) -> Rows {
    let kept = rows
        .iter()
        .filter(|(key, _)| key.view().class() != ViewClass::AppendOnly);
    kept.map(|(key, value)| (*key, value.clone())).collect()
}
