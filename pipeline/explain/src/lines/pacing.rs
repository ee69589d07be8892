//! Why a line item stands where it stands.

use std::collections::BTreeMap;

use hostread_rules::delivery::day_start;
use hostread_rules::pacing::{AiredRead, pace};
use hostread_schemas::fact::LineFact;
use hostread_schemas::view::{PacingKey, PacingRow, PacingState, ViewRow};
use hostread_schemas::{Day, EventId, Hour, NameKind};
use hostread_sink_kit::words;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Ads, ads, from, lines_named, reads};
use crate::NotExplained;
use crate::dims::{AllDims, Said};
use crate::known::Known;
use crate::restated::Moves;
use crate::said::{Because, Found};

/// A line's billing day.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct LineDay {
    /// Civil day in the line's zone.
    pub day: String,
    /// Ads delivered.
    pub delivered: i64,
    /// Of these billable: in flight, and of a baked-in ad before its 30th day.
    pub billable: i64,
    /// Part of it comes from what a release carried on.
    pub carried: bool,
    /// Billable ads so far.
    pub delivered_so_far: i64,
    /// What the plan expects by the end of the day.
    pub expected_so_far: i64,
}

/// A read that aired.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Read {
    /// Episode.
    pub episode: String,
    /// When.
    pub aired_at: String,
    /// Ads expected of it over 30 days.
    pub episode_goal: u64,
    /// The event that says so.
    pub event: EventId,
}

/// Why a line stands where it stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Pacing {
    /// Campaign.
    pub campaign: String,
    /// `inserted` or `baked_in`.
    pub kind: &'static str,
    /// Whose report counts.
    pub controlling: &'static str,
    /// Ads sold.
    pub goal: u64,
    /// First day of the flight.
    pub start: String,
    /// Last day of the flight.
    pub end: String,
    /// Zone of both.
    pub zone: String,
    /// The event that says all this.
    pub line_event: EventId,
    /// Reads that aired; of baked-in lines the plan goes by them.
    pub reads: Vec<Read>,
    /// The hour at whose start it is judged.
    pub as_of: String,
    /// Billable ads.
    pub delivered: i64,
    /// Expected by then.
    pub expected: i64,
    /// Thousandths; -1: nothing is expected.
    pub index_permille: i64,
    /// The state.
    pub state: &'static str,
    /// Why that one.
    pub state_because: String,
    /// The last hour with a billable ad.
    pub last_billable_hour: Option<String>,
    /// Its days.
    pub days: Vec<LineDay>,
}

/// Explains how a line stands.
pub(crate) fn find_pacing(
    known: &Known<'_>,
    dims: &AllDims,
    name: &str,
) -> Result<Vec<Found>, NotExplained> {
    let mut found = Vec::new();
    if known.clock.0 <= 0 {
        return Ok(found);
    }
    for (tenant, dims, line) in lines_named(known, dims, name) {
        let ads = ads(known, dims, tenant, line.what.line)?;
        let reads = reads(dims, line.what.line);
        let billable = ads.values().map(|day| day.billable).sum();
        let last_hour = ads.values().filter_map(|day| day.last_hour).max();
        let aired: Vec<AiredRead> = reads.iter().map(|(read, _)| *read).collect();
        let row = pace(&line.what, &aired, billable, last_hour, known.clock.hour());
        let carried = ads.values().any(|day| day.carried);
        let because = pacing(known, line, &reads, &row, &ads, last_hour);
        let key = PacingKey {
            tenant,
            line: line.what.line,
        };
        found.push(Found {
            tenant,
            id: name.to_owned(),
            known_from: from(carried),
            numbers: pacing_numbers(&row),
            because: Because::Pacing(Box::new(because)),
            rows: vec![ViewRow::from((key, row))],
            moves: vec![Moves::Delivery(line.what.line, None)],
        });
    }
    Ok(found)
}

fn pacing(
    known: &Known<'_>,
    line: &Said<LineFact>,
    reads: &[(AiredRead, EventId)],
    row: &PacingRow,
    ads: &BTreeMap<Day, Ads>,
    last_hour: Option<Hour>,
) -> Pacing {
    let fact = &line.what;
    let aired: Vec<AiredRead> = reads.iter().map(|(read, _)| *read).collect();
    let mut so_far = 0;
    let days = ads.iter().map(|(day, ads)| {
        so_far += ads.billable;
        // The plan at the end of the day, or now: whichever comes first.
        let end = day_start(Day(day.0.saturating_add(1)), &fact.zone);
        let hour = end.hour().min(known.clock.hour());
        LineDay {
            day: day.to_string(),
            delivered: ads.delivered,
            billable: ads.billable,
            carried: ads.carried,
            delivered_so_far: so_far,
            expected_so_far: pace(fact, &aired, 0, None, hour).expected,
        }
    });
    Pacing {
        campaign: known.name(NameKind::Campaign, fact.campaign.0),
        kind: words::ad_kind(fact.kind),
        controlling: words::controlling(fact.controlling),
        goal: fact.goal,
        start: fact.start.to_string(),
        end: fact.end.to_string(),
        zone: fact.zone.clone(),
        line_event: line.event,
        reads: reads
            .iter()
            .map(|(read, event)| Read {
                episode: known.name(NameKind::Episode, read.episode.0),
                aired_at: read.aired_at.to_string(),
                episode_goal: read.episode_goal,
                event: *event,
            })
            .collect(),
        as_of: row.as_of.start().to_string(),
        delivered: row.delivered,
        expected: row.expected,
        index_permille: row.index_permille,
        state: row.state.as_str(),
        state_because: state_because(row, last_hour),
        last_billable_hour: last_hour.map(|hour| hour.start().to_string()),
        days: days.collect(),
    }
}

fn state_because(row: &PacingRow, last_hour: Option<Hour>) -> String {
    let index = format!(
        "{} delivered / {} expected = {}.{:03}",
        row.delivered,
        row.expected,
        row.index_permille.max(0) / 1000,
        row.index_permille.max(0) % 1000
    );
    match row.state {
        PacingState::None if row.expected == 0 => "nothing is expected so far".to_owned(),
        PacingState::None => "fewer than 50 are expected and less than a day has passed".to_owned(),
        PacingState::Stalled => match last_hour {
            Some(hour) => format!(
                "at least 20 were expected in the last 24 h and none came since {}",
                hour.start()
            ),
            None => "at least 20 were expected in the last 24 h and none ever came".to_owned(),
        },
        PacingState::Under => format!("{index}, below 0.850"),
        PacingState::AtRisk => format!("{index}, below 0.950"),
        PacingState::OnTrack => format!("{index}, at most 1.050"),
        PacingState::Over => format!("{index}, above 1.050"),
    }
}

fn pacing_numbers(row: &PacingRow) -> Vec<(String, Value)> {
    vec![
        ("delivered".to_owned(), json!(row.delivered)),
        ("expected".to_owned(), json!(row.expected)),
        ("goal".to_owned(), json!(row.goal)),
        ("index_permille".to_owned(), json!(row.index_permille)),
        ("state".to_owned(), json!(row.state.as_str())),
    ]
}
