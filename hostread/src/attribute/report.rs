//! The credits of channels, as JSON and as tables.

use std::sync::Arc;

use comfy_table::{Cell, CellAlignment, Table};
use hostread_rules::apportion;
use hostread_rules::channels::{FineMicros, Given};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{Asked, Counted, ModelName, Totals};
use crate::cmd::table;
use crate::report::grouped;

/// Of the largest difference in a table.
const BAR_CELLS: usize = 5;

/// Of a channel under a model.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
struct Credit {
    conversions: f64,
    value: f64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Report {
    pub(super) channels: Vec<Arc<str>>,
    /// In the order of the columns; of each channel.
    models: Vec<(ModelName, Vec<Credit>)>,
    markov: Option<Markov>,
    totals: Totals,
    has_value: bool,
    /// What a reader must know, each once.
    pub(crate) notes: Vec<String>,
}

#[derive(Debug)]
struct Markov {
    order: usize,
    base_probability: f64,
    removal_effects: Vec<f64>,
}

/// The nearest number to so many millionths.
fn units(micros: FineMicros) -> f64 {
    let (whole, rest) = micros.parts();
    (whole as f64 + rest as f64 / (1_u128 << 64) as f64) / 1e6
}

fn total(micros: u128) -> f64 {
    micros as f64 / 1e6
}

impl Report {
    pub(crate) fn new(counted: &Counted, asked: &Asked) -> Self {
        let totals = counted.totals;
        let mut models = Vec::new();
        for model in &asked.models {
            let credits = match (model.place(), &counted.markov) {
                _ if !counted.columns.ages && asked.needs_ages(*model) => continue,
                (Some(place), _) => of_journeys(counted, place),
                (None, Some(solution)) => {
                    let credit = |share| Credit {
                        conversions: share * total(totals.conversions_micros),
                        value: share * total(totals.value_micros),
                    };
                    solution.shares().into_iter().map(credit).collect()
                }
                (None, None) => continue,
            };
            models.push((*model, credits));
        }
        Self {
            channels: counted.channels.clone(),
            models,
            markov: counted.markov.as_ref().map(|solution| Markov {
                order: asked.order,
                base_probability: solution.base_probability,
                removal_effects: solution.removal_effects.clone(),
            }),
            totals,
            has_value: counted.columns.value,
            notes: notes(counted, asked),
        }
    }

    /// No model that was asked for can be told.
    pub(crate) fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    /// What each model gives to the channels.
    pub(super) fn conversions(&self) -> impl Iterator<Item = (ModelName, Vec<f64>)> {
        let of = |credits: &Vec<Credit>| credits.iter().map(|it| it.conversions).collect();
        self.models.iter().map(move |(model, it)| (*model, of(it)))
    }
}

fn of_journeys(counted: &Counted, place: usize) -> Vec<Credit> {
    let channels = 0..counted.channels.len() as u32;
    let given = |channel| counted.sums.of(channel).get(place).copied();
    let credit = |given: Given| Credit {
        conversions: units(given.conversions),
        value: units(given.value),
    };
    channels
        .map(|channel| credit(given(channel).unwrap_or_default()))
        .collect()
}

fn notes(counted: &Counted, asked: &Asked) -> Vec<String> {
    let mut notes = Vec::new();
    let Totals {
        malformed,
        touches_cut,
        conversions_micros,
        ..
    } = counted.totals;
    if malformed > 0 {
        notes.push(format!(
            "{malformed} lines could not be read and are left out"
        ));
    }
    if touches_cut > 0 {
        notes.push(format!(
            "{touches_cut} touches are left out: of a path stay the oldest and the 255 nearest"
        ));
    }
    for model in asked
        .models
        .iter()
        .filter(|model| asked.needs_ages(**model))
    {
        if !counted.columns.ages {
            let model = model.as_str();
            notes.push(format!(
                "{model} is left out: the file has no column \"ages\""
            ));
        }
    }
    if asked.has(ModelName::Markov) && !counted.columns.nulls {
        notes.push(
            "the file has no column \"nulls\": Markov takes every journey as one that converts"
                .to_owned(),
        );
    }
    if !counted.columns.value {
        notes.push("the file has no column \"value\": every value is 0".to_owned());
    }
    if conversions_micros == 0 {
        notes.push("no journey of the file converts: every credit is 0".to_owned());
    }
    notes
}

/// A map of channels or models, in their order.
struct InOrder<'a, K, V>(&'a [K], &'a [V]);

impl<K: AsRef<str>, V: Serialize> Serialize for InOrder<'_, K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entries = self.0.iter().zip(self.1);
        serializer.collect_map(entries.map(|(key, value)| (key.as_ref(), value)))
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let names: Vec<&str> = self
            .models
            .iter()
            .map(|(model, _)| model.as_str())
            .collect();
        let of = |(_, credits): &'_ (ModelName, Vec<Credit>)| credits.clone();
        let credits: Vec<Vec<Credit>> = self.models.iter().map(of).collect();
        let models: Vec<_> = credits
            .iter()
            .map(|credits| InOrder(&self.channels, credits))
            .collect();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("models", &InOrder(&names, &models))?;
        if let Some(markov) = &self.markov {
            map.serialize_entry("markov_detail", &Detail(markov, &self.channels))?;
        }
        map.serialize_entry("input", &self.totals)?;
        map.serialize_entry("notes", &self.notes)?;
        map.end()
    }
}

struct Detail<'a>(&'a Markov, &'a [Arc<str>]);

impl Serialize for Detail<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(markov, channels) = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("order", &markov.order)?;
        map.serialize_entry("base_probability", &markov.base_probability)?;
        map.serialize_entry(
            "removal_effects",
            &InOrder(channels, &markov.removal_effects),
        )?;
        map.end()
    }
}

impl Serialize for Totals {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("rows", &self.rows)?;
        map.serialize_entry("malformed", &self.malformed)?;
        map.serialize_entry("touches_cut", &self.touches_cut)?;
        map.serialize_entry("conversions", &total(self.conversions_micros))?;
        map.serialize_entry("value", &total(self.value_micros))?;
        map.serialize_entry("nulls", &total(self.nulls_micros))?;
        map.end()
    }
}

/// Hundredths with a point and groups of three digits.
fn hundredths(value: i64) -> String {
    format!("{}.{:02}", grouped(value / 100), value % 100)
}

fn right(text: impl ToString) -> Cell {
    Cell::new(text.to_string()).set_alignment(CellAlignment::Right)
}

/// In tables a line end or another control character would break the line.
fn shown(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_control() { '\u{FFFD}' } else { c })
        .collect()
}

/// Between the model that gives a channel the most and the one that gives it the least.
#[derive(Default)]
struct Difference {
    hundredths: i64,
    models: String,
}

impl Difference {
    /// As a share of all, with a bar beside the largest of its table.
    fn text(&self, all: i64, largest: i64) -> String {
        if self.hundredths == 0 || all == 0 || largest == 0 {
            return String::new();
        }
        let parts = |of: usize, whole: i64| {
            let (part, whole) = (i128::from(self.hundredths), i128::from(whole));
            (part * of as i128 + whole / 2) / whole
        };
        let permille = parts(1000, all);
        let bar = "█".repeat(usize::try_from(parts(BAR_CELLS, largest)).unwrap_or(0));
        format!(
            "{bar:<BAR_CELLS$} {:>5} %  {}",
            format!("{}.{}", permille / 10, permille % 10),
            self.models
        )
    }
}

impl Report {
    /// For people: the channel with the most credit first.
    pub(crate) fn text(&self) -> String {
        let of = |credit: fn(&Credit) -> f64| self.by_channel(credit);
        let mut parts = vec![self.head()];
        parts.push(format!(
            "Conversions\n{}",
            self.credits(
                of(|credit| credit.conversions),
                self.totals.conversions_micros
            )
        ));
        if self.totals.value_micros > 0 {
            parts.push(format!(
                "Value\n{}",
                self.credits(of(|credit| credit.value), self.totals.value_micros)
            ));
        }
        if let Some(markov) = &self.markov {
            parts.push(self.effects(markov));
        }
        parts.join("\n\n")
    }

    fn head(&self) -> String {
        let Totals {
            rows,
            malformed,
            conversions_micros,
            value_micros,
            nulls_micros,
            ..
        } = self.totals;
        let decimal =
            |micros: u128| hundredths(i64::try_from((micros + 5_000) / 10_000).unwrap_or(i64::MAX));
        let value = if self.has_value {
            format!(" worth {}", decimal(value_micros))
        } else {
            String::new()
        };
        let paths = match rows - malformed {
            1 => "1 path".to_owned(),
            many => format!("{} paths", grouped(many as i64)),
        };
        format!(
            "{paths}: {} conversions{value}, {} journeys without",
            decimal(conversions_micros),
            decimal(nulls_micros)
        )
    }

    /// Of each model what each channel got.
    fn by_channel(&self, credit: fn(&Credit) -> f64) -> Vec<Vec<f64>> {
        self.models
            .iter()
            .map(|(_, credits)| credits.iter().map(credit).collect())
            .collect()
    }

    /// Channels, the one with the most of the first model's sums first.
    fn sorted(&self) -> Vec<usize> {
        let sum = |channel: usize| {
            let of = |(_, credits): &(ModelName, Vec<Credit>)| {
                credits
                    .get(channel)
                    .map_or(0.0, |credit| credit.conversions)
            };
            self.models.iter().map(of).sum::<f64>()
        };
        let mut sorted: Vec<usize> = (0..self.channels.len()).collect();
        sorted.sort_by(|a, b| sum(*b).total_cmp(&sum(*a)).then(a.cmp(b)));
        sorted
    }

    /// A column adds up to its last line: what rounding leaves goes to the largest remainders.
    fn credits(&self, models: Vec<Vec<f64>>, total_micros: u128) -> Table {
        let all = i64::try_from((total_micros + 5_000) / 10_000).unwrap_or(i64::MAX);
        let columns: Vec<Vec<i64>> = models
            .iter()
            .map(|credits| {
                let weights: Vec<u64> =
                    credits.iter().map(|credit| (credit * 1e6) as u64).collect();
                if weights.iter().all(|weight| *weight == 0) {
                    vec![0; weights.len()]
                } else {
                    apportion(all, &weights)
                }
            })
            .collect();
        let mut table = table();
        let names = self.models.iter().map(|(model, _)| model.as_str());
        let mut head = vec![Cell::new("channel")];
        head.extend(names.map(right));
        if self.models.len() > 1 {
            head.push(Cell::new("differ by"));
        }
        table.set_header(head);
        let sorted = self.sorted();
        let differences: Vec<Difference> = sorted
            .iter()
            .map(|channel| {
                let of = columns.iter().map(|column| column.get(*channel));
                self.difference(of.map(|credit| credit.copied().unwrap_or(0)))
            })
            .collect();
        let largest = differences
            .iter()
            .map(|difference| difference.hundredths)
            .max();
        for (channel, difference) in sorted.into_iter().zip(differences) {
            let of = columns.iter().map(|column| column.get(channel));
            let mut row = vec![Cell::new(self.name(channel))];
            row.extend(of.map(|value| right(hundredths(value.copied().unwrap_or(0)))));
            if self.models.len() > 1 {
                row.push(Cell::new(difference.text(all, largest.unwrap_or(0))));
            }
            table.add_row(row);
        }
        let mut row = vec![Cell::new("all")];
        row.extend(
            columns
                .iter()
                .map(|column| right(hundredths(column.iter().sum()))),
        );
        table.add_row(row);
        table
    }

    fn name(&self, channel: usize) -> String {
        self.channels
            .get(channel)
            .map_or_else(String::new, |name| shown(name))
    }

    /// Of a channel's credits under each model.
    fn difference(&self, credits: impl Iterator<Item = i64>) -> Difference {
        let by_model: Vec<(i64, ModelName)> = credits
            .zip(self.models.iter().map(|(model, _)| *model))
            .collect();
        // The first of equals.
        let most = by_model.iter().rev().max_by_key(|(credit, _)| *credit);
        let least = by_model.iter().min_by_key(|(credit, _)| *credit);
        let (Some((most, most_by)), Some((least, least_by))) = (most, least) else {
            return Difference::default();
        };
        Difference {
            hundredths: most - least,
            models: format!("{} > {}", most_by.as_str(), least_by.as_str()),
        }
    }

    fn effects(&self, markov: &Markov) -> String {
        let mut table = table();
        table.set_header([Cell::new("without"), right("conversions lost")]);
        let effect = |channel: usize| markov.removal_effects.get(channel).copied().unwrap_or(0.0);
        let mut sorted = self.sorted();
        sorted.sort_by(|a, b| effect(*b).total_cmp(&effect(*a)));
        for channel in sorted {
            let percent = format!("{:.2} %", effect(channel) * 100.0);
            table.add_row([Cell::new(self.name(channel)), right(percent)]);
        }
        let base = markov.base_probability * 100.0;
        format!(
            "Markov of order {}: {base:.2} % of journeys convert\n{table}",
            markov.order
        )
    }
}
