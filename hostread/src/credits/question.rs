//! Which numbers can be asked for: what they are summed by, and from which rows.

use hostread_schemas::event::Model;

use super::{COUNT, Key, NUMBER, TEXT};
use crate::listing::Column;

/// What credits are summed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum By {
    Campaign,
    Line,
    Show,
    Day,
    Month,
    Model,
}

impl By {
    fn key(self) -> Key {
        match self {
            Self::Campaign => Key::text("campaign", "campaign"),
            Self::Line => Key::text("line", "line"),
            Self::Show => Key::text("show", "show"),
            Self::Day => Key::text("day", "toString(day)"),
            Self::Month => Key::text("month", "substring(toString(day), 1, 7)"),
            Self::Model => Key::text("model", "model"),
        }
    }
}

/// What a touch is called by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Spot {
    Campaign,
    Line,
    Show,
}

impl Spot {
    /// The word for it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Campaign => "campaign",
            Self::Line => "line",
            Self::Show => "show",
        }
    }

    /// The names along a path.
    const fn along(self) -> &'static str {
        match self {
            Self::Campaign => "path_campaigns",
            Self::Line => "path_lines",
            Self::Show => "path_shows",
        }
    }
}

/// Which numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Question {
    /// Credits and money, by what is asked for.
    Credits {
        /// Each once.
        by: Vec<By>,
        /// Only under this; without it models are summed by.
        model: Option<Model>,
    },
    /// Conversions with a promo code, by code: how many of them an ad had reached, and what they were worth.
    Codes,
    /// Conversions by the number of touches on their path; 0 is unmatched.
    PathLengths,
    /// Conversions by the names on their path, oldest touch first; those of the most conversions come first.
    Paths(Spot),
    /// How often a campaign, line or show is on a path, and where.
    Touchpoints(Spot),
    /// Conversions by whole days since their first touch, and since their last.
    TimeLags,
    /// What shorter lookbacks would match.
    Lookbacks,
    /// Conversions that two campaigns have touched.
    Overlaps,
}

/// Of a conversion: an ad is on its path, and not only the touch that its code added.
pub(crate) const HEARD: &str = "arrayExists((show, age, line) -> show != '' OR age > 0 OR line != code_line, \
    path_shows, path_ages, path_lines)";
const CONVERSION_DAY: &str = "toDate32(converted_at, 'UTC')";
/// How long a touch may lie back, in days, to see what it changes.
const LOOKBACK_DAYS: &str = "[1, 3, 7, 14, 30, 60, 90]";

impl Question {
    /// Credits, if they add up.
    ///
    /// # Errors
    /// What is wrong with `by`.
    pub(crate) fn credits(by: Vec<By>, model: Option<Model>) -> Result<Self, &'static str> {
        if model.is_none() && !by.contains(&By::Model) {
            return Err(
                "credits of different models do not add up: name one model, or sum by model too",
            );
        }
        let twice = |(at, one): (usize, &By)| by.iter().skip(at + 1).any(|other| other == one);
        if by.iter().enumerate().any(twice) {
            return Err("nothing is summed by the same twice");
        }
        Ok(Self::Credits { by, model })
    }

    /// Can a page of it begin behind this place?
    pub(crate) fn follows(&self, after: &[String]) -> bool {
        let places = self.places();
        let fits = |(is, value): (&&str, &String)| match *is {
            COUNT => value.parse::<u32>().is_ok(),
            NUMBER => value.parse::<i64>().is_ok(),
            _ => true,
        };
        places.len() == after.len() && places.iter().zip(after).all(fits)
    }

    /// The types of what tells a row's place among the others.
    pub(super) fn places(&self) -> Vec<&'static str> {
        let first_sum = self.largest_first().then_some(NUMBER);
        let keys = self.keys();
        let keys = keys.iter().map(|key| key.is);
        first_sum.into_iter().chain(keys).collect()
    }

    pub(super) const fn largest_first(&self) -> bool {
        matches!(self, Self::Paths(_))
    }

    pub(super) fn keys(&self) -> Vec<Key> {
        let about = match self {
            Self::Credits { by, .. } => by.iter().map(|by| by.key()).collect(),
            Self::Codes => vec![
                Key::text("store", "store"),
                Key::text("code", "code"),
                Key::text("line", "code_line"),
            ],
            Self::PathLengths => vec![Key::count("touches", "touches")],
            Self::Paths(spot) => vec![Key {
                column: Column::path("path"),
                of: format!("toJSONString({})", spot.along()),
                is: TEXT,
            }],
            Self::Touchpoints(spot) => vec![Key::text(spot.name(), "name")],
            Self::TimeLags => vec![Key::text("since", "since")],
            Self::Lookbacks => Vec::new(),
            Self::Overlaps => vec![
                Key::text("campaign", "pair.1"),
                Key::text("and campaign", "pair.2"),
            ],
        };
        let (tenant, currency) = (
            Key::text("tenant", "tenant"),
            Key::text("currency", "currency"),
        );
        // A curve is of one currency.
        let along = match self {
            Self::TimeLags => vec![Key::count("days", "intDiv(age, 86400)")],
            Self::Lookbacks => vec![Key::count("days", "days")],
            _ => Vec::new(),
        };
        [vec![tenant], about, vec![currency], along].concat()
    }

    pub(super) fn sums(&self) -> Vec<(Column, String)> {
        let count = |header, of: &str| (Column::count(header), of.to_owned());
        let micros = |header, of: &str| (Column::micros(header), of.to_owned());
        let conversions = count("conversions", "count()");
        let value = micros("value", "sum(value_micros)");
        match self {
            Self::Credits { .. } => vec![
                micros("credit", "sum(credit_micros)"),
                micros("money", "sum(money_micros)"),
            ],
            Self::Codes => vec![
                count("redemptions", "count()"),
                count("matched", &format!("countIf({HEARD})")),
                count("unmatched", &format!("countIf(NOT {HEARD})")),
                value,
                micros("refunded", "sum(refunded_micros)"),
            ],
            Self::PathLengths | Self::Paths(_) | Self::Overlaps => vec![conversions, value],
            Self::Touchpoints(spot) => {
                let along = spot.along();
                vec![
                    conversions,
                    count("touches", &format!("sum(countEqual({along}, name))")),
                    count("first", &format!("countIf({along}[1] = name)")),
                    count("last", &format!("countIf({along}[-1] = name)")),
                    count(
                        "alone",
                        &format!("countIf(length(arrayDistinct({along})) = 1)"),
                    ),
                    value,
                ]
            }
            Self::TimeLags => {
                let alike = "PARTITION BY tenant, since, currency";
                let days = "intDiv(age, 86400)";
                let so_far = format!(
                    "intDiv(1000000 * sum(count()) OVER ({alike} ORDER BY {days}), sum(count()) OVER ({alike}))"
                );
                vec![conversions, (Column::share("share so far"), so_far), value]
            }
            Self::Lookbacks => vec![
                count("conversions", "countIf(path_ages[-1] < days * 86400)"),
                count(
                    "touches",
                    "sum(arrayCount(age -> age < days * 86400, path_ages))",
                ),
                micros("value", "sumIf(value_micros, path_ages[-1] < days * 86400)"),
            ],
        }
    }

    /// Rows to sum up.
    pub(super) fn table(&self) -> String {
        let conversions = |rest: &str| format!("serving.conversions FINAL {rest}");
        match self {
            Self::Credits { .. } => "serving.attribution_daily FINAL WHERE true".to_owned(),
            Self::Codes => conversions("WHERE code != ''"),
            Self::PathLengths => conversions("WHERE true"),
            Self::Paths(_) => conversions("WHERE notEmpty(path_lines)"),
            Self::Touchpoints(spot) => {
                let along = spot.along();
                conversions(&format!(
                    "ARRAY JOIN arrayDistinct({along}) AS name WHERE true"
                ))
            }
            Self::TimeLags => conversions(
                "ARRAY JOIN ['first touch', 'last touch'] AS since, [path_ages[1], path_ages[-1]] AS age WHERE notEmpty(path_ages)",
            ),
            Self::Lookbacks => conversions(&format!(
                "ARRAY JOIN {LOOKBACK_DAYS} AS days WHERE notEmpty(path_ages)"
            )),
            Self::Overlaps => {
                let names = "arrayDistinct(path_campaigns)";
                let pairs =
                    format!("arrayFlatten(arrayMap(a -> arrayMap(b -> (a, b), {names}), {names}))");
                conversions(&format!(
                    "ARRAY JOIN arrayFilter(pair -> pair.1 < pair.2, {pairs}) AS pair WHERE true"
                ))
            }
        }
    }

    /// The UTC day of a row's conversion.
    pub(super) const fn day(&self) -> &'static str {
        match self {
            Self::Credits { .. } => "day",
            _ => CONVERSION_DAY,
        }
    }
}
