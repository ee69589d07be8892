//! `hostread attribute`: what each channel gets of a file of paths, by every model.
//!
//! Needs: the unpacked file. Promises: the same numbers to the last bit for any order of its rows and any number of threads;
//! memory grows with channels and transitions, not with rows. Leaves out: files, how the answer is printed (`report`).

mod door;
mod name;
mod records;
mod report;
mod row;
mod validate;

use std::collections::HashMap;
use std::io::BufRead;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use hostread_models::markov::{Chain, MarkovError, Solution};
use hostread_rules::channels::{ChannelSums, Journeys, Settings, cut};
use hostread_rules::custom::CustomModel;

use records::{Piece, Pieces};
use row::Header;

use crate::deal::{Dealer, deal_out};

pub(crate) use door::door;
pub(crate) use name::ModelName;
pub(crate) use report::Report;
pub(crate) use row::path_text;
pub(crate) use validate::{Truth, Validation};

/// Seven days, as in the stream.
const HALF_LIFE_SECS: i64 = 7 * 86_400;
/// Records that cannot be read and are told.
const TOLD_MAX: usize = 5;

/// What is asked of a file.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) models: Vec<ModelName>,
    /// The document of [`ModelName::Custom`].
    pub(crate) custom: Option<CustomModel>,
    /// Of the Markov chain.
    pub(crate) order: usize,
    /// Too small: a file of creatives is refused. Too large: a file with a name a row fills memory.
    pub(crate) channels_max: usize,
    /// That a Markov chain may take.
    pub(crate) steps_max: u64,
}

impl Asked {
    fn has(&self, model: ModelName) -> bool {
        self.models.contains(&model)
    }

    fn needs_ages(&self, model: ModelName) -> bool {
        match model {
            ModelName::TimeDecay => true,
            ModelName::Custom => self.custom.as_ref().is_some_and(CustomModel::needs_ages),
            _ => false,
        }
    }
}

/// Totals of what was read.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Totals {
    pub(crate) rows: u64,
    /// Left out, because they cannot be read.
    pub(crate) malformed: u64,
    /// Of paths with more than 256.
    pub(crate) touches_cut: u64,
    conversions_micros: u128,
    value_micros: u128,
    nulls_micros: u128,
}

/// Channels by name, numbered as they come.
#[derive(Default)]
struct Names {
    numbers: HashMap<Arc<str>, u32>,
    names: Vec<Arc<str>>,
}

impl Names {
    fn number(&mut self, name: &str, names_max: usize) -> Result<u32> {
        if let Some(number) = self.numbers.get(name) {
            return Ok(*number);
        }
        if self.names.len() >= names_max {
            bail!("there are over {names_max} channels");
        }
        let number = u32::try_from(self.names.len())?;
        let name: Arc<str> = Arc::from(name);
        self.numbers.insert(Arc::clone(&name), number);
        self.names.push(name);
        Ok(number)
    }
}

/// What one thread has counted.
struct Part {
    names: Names,
    sums: ChannelSums,
    chain: Option<Chain>,
    totals: Totals,
    /// The first records that cannot be read.
    told: Vec<(u64, String)>,
    /// Is any model but Markov asked for?
    journey_models: bool,
    settings: Settings,
    channels_max: usize,
    path: Vec<u32>,
}

impl Part {
    fn new(asked: &Asked) -> Self {
        let chain = asked.has(ModelName::Markov);
        Self {
            names: Names::default(),
            sums: ChannelSums::default(),
            chain: chain.then(|| Chain::new(asked.order)),
            totals: Totals::default(),
            told: Vec::new(),
            journey_models: asked.models.iter().any(|model| *model != ModelName::Markov),
            settings: Settings {
                half_life_secs: HALF_LIFE_SECS,
                custom: asked.custom.clone(),
            },
            channels_max: asked.channels_max,
            path: Vec::new(),
        }
    }

    /// Counts a piece. An error is one of the whole file.
    fn count(&mut self, header: &Header, piece: &Piece) -> Result<()> {
        for (line, record) in piece.records() {
            self.totals.rows += 1;
            let mut row = match header.row(record) {
                Ok(row) => row,
                Err(error) => {
                    self.totals.malformed += 1;
                    if self.told.len() < TOLD_MAX {
                        self.told.push((line, error.to_string()));
                    }
                    continue;
                }
            };
            let mut path = std::mem::take(&mut self.path);
            path.clear();
            for name in &row.path {
                path.push(self.names.number(name, self.channels_max)?);
            }
            self.totals.touches_cut += cut(&mut path) as u64;
            cut(&mut row.ages_secs);
            self.totals.conversions_micros += u128::from(row.conversions_micros);
            self.totals.value_micros += u128::from(row.value_micros);
            self.totals.nulls_micros += u128::from(row.nulls_micros);
            let ages = Some(row.ages_secs.as_slice());
            let journeys = Journeys {
                path: &path,
                ages_secs: ages.filter(|ages| !ages.is_empty()),
                conversions_micros: row.conversions_micros,
                value_micros: row.value_micros,
            };
            if self.journey_models {
                self.sums.add(journeys, &self.settings);
            }
            if let Some(chain) = &mut self.chain {
                chain.add(&path, row.conversions_micros, row.nulls_micros)?;
            }
            self.path = path;
        }
        Ok(())
    }
}

/// What the whole file comes to; channels in the order of their names.
pub(crate) struct Counted {
    pub(crate) channels: Vec<Arc<str>>,
    sums: ChannelSums,
    markov: Option<Solution>,
    pub(crate) totals: Totals,
    /// Lines that cannot be read, and why; the first few.
    pub(crate) told: Vec<(u64, String)>,
    pub(crate) columns: Columns,
}

/// What the file says beside paths and conversions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns {
    pub(crate) value: bool,
    pub(crate) nulls: bool,
    pub(crate) ages: bool,
}

/// Reads a file and solves what is asked.
pub(crate) fn attribute(input: impl BufRead, asked: &Asked, threads: usize) -> Result<Counted> {
    let threads = threads.max(1);
    let (header, parts) = read(input, asked, threads)?;
    let mut channels: Vec<Arc<str>> = parts
        .iter()
        .flat_map(|part| part.names.names.iter().map(Arc::clone))
        .collect();
    channels.sort_unstable();
    channels.dedup();
    let mut sums = ChannelSums::default();
    let mut chain = asked
        .has(ModelName::Markov)
        .then(|| Chain::new(asked.order));
    let (mut totals, mut told) = (Totals::default(), Vec::new());
    for part in parts {
        let number = |name| channels.binary_search(name).unwrap_or(0) as u32;
        let numbers: Vec<u32> = part.names.names.iter().map(number).collect();
        sums.join(&part.sums, &numbers);
        if let (Some(chain), Some(part)) = (&mut chain, &part.chain) {
            chain.join(part, &numbers)?;
        }
        totals.add(&part.totals);
        told.extend(part.told);
    }
    totals.check()?;
    told.sort();
    told.truncate(TOLD_MAX);
    let solve = |chain: &Chain| chain.solve(channels.len(), threads, asked.steps_max);
    let markov = chain.as_ref().map(solve).transpose();
    Ok(Counted {
        markov: markov.map_err(|error| markov_hint(error, asked))?,
        channels,
        sums,
        totals,
        told,
        columns: Columns {
            value: header.has_value(),
            nulls: header.has_nulls(),
            ages: header.has_ages(),
        },
    })
}

fn markov_hint(error: MarkovError, asked: &Asked) -> anyhow::Error {
    let order = asked.order;
    anyhow::Error::new(error).context(format!(
        "Markov of order {order}; --models without it has the rest"
    ))
}

impl Totals {
    fn add(&mut self, more: &Self) {
        self.rows += more.rows;
        self.malformed += more.malformed;
        self.touches_cut += more.touches_cut;
        self.conversions_micros += more.conversions_micros;
        self.value_micros += more.value_micros;
        self.nulls_micros += more.nulls_micros;
    }

    /// Beyond this the sums would not be exact.
    fn check(&self) -> Result<()> {
        let max = u128::from(u64::MAX) / 2;
        for (column, micros) in [
            ("conversions", self.conversions_micros),
            ("value", self.value_micros),
            ("nulls", self.nulls_micros),
        ] {
            if micros > max {
                bail!("{column}: the file's total is over nine trillion");
            }
        }
        Ok(())
    }
}

/// Counts the pieces of the file, each in one of `threads`.
fn read(input: impl BufRead, asked: &Asked, threads: usize) -> Result<(Header, Vec<Part>)> {
    let mut pieces = Pieces::new(input);
    let mut piece = pieces.next()?.context("the file is empty")?;
    let (line, first) = piece.take_first().context("the file is empty")?;
    let header = Header::read(&first).with_context(|| format!("line {line}"))?;
    let workers = (0..threads).map(|_| Part::new(asked));
    let (read, parts) = deal_out(
        workers,
        |mut part: Part, pieces| {
            for piece in pieces {
                part.count(&header, &piece)?;
            }
            anyhow::Ok(part)
        },
        |threads: Dealer<Piece>| {
            let mut next = Some(piece);
            while let Some(piece) = next {
                if !threads.put(piece) {
                    break;
                }
                next = pieces.next()?;
            }
            anyhow::Ok(())
        },
    );
    read?;
    let parts = parts.into_iter().collect::<Result<Vec<Part>>>()?;
    Ok((header, parts))
}

#[cfg(test)]
mod tests;
