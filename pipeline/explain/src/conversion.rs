//! Why a conversion is credited as it is.

mod because;
mod said;

pub use said::{Conversion, Credits, LeftOut, PathStep, Sharing, SignalSaid};

use std::collections::BTreeSet;

use hostread_rules::conversion::Conversion as Made;
use hostread_schemas::event::Model;
use hostread_schemas::unit::DAY_MS;
use hostread_schemas::view::{View, ViewKey, ViewRow, ViewValue};
use hostread_schemas::{BrandId, ConversionId, Currency, Day, NameKind, TenantId};
use hostread_sink_kit::words;
use serde_json::{Value, json};

use crate::NotExplained;
use crate::asked::number;
use crate::days::Whose;
use crate::dims::{AllDims, Dims};
use crate::known::{Known, ReadError};
use crate::path::{Part, credited, lives};
use crate::restated::Moves;
use crate::said::{Because, Found, KnownFrom};
use crate::signals::{Merged, Merging, merged};
use because::no_conversion;

/// Explains a conversion.
pub(crate) fn find(
    known: &Known<'_>,
    dims: &AllDims,
    id: &str,
) -> Result<Vec<Found>, NotExplained> {
    let mut found = Vec::new();
    for (tenant, dims) in dims {
        let merging = merged(known, *tenant)?;
        let wanted = |id_there: ConversionId| is_named(known, id_there, id);
        for one in merging.merged.iter().filter(|one| wanted(one.id)) {
            found.push(explained(known, dims, *tenant, &merging, one)?);
        }
        if found.iter().all(|found| found.tenant != *tenant) {
            found.extend(released(known, *tenant, &wanted)?);
        }
    }
    // An order that is no conversion does not stand beside one that is.
    if found.len() > 1 && found.iter().any(|found| !found.rows.is_empty()) {
        found.retain(|found| !found.rows.is_empty());
    }
    Ok(found)
}

/// By its number in the tables, or by its order's reference.
fn is_named(known: &Known<'_>, conversion: ConversionId, id: &str) -> bool {
    let hex = || id.len() == 16 && u64::from_str_radix(id, 16) == Ok(conversion.0);
    number(id, "cnv_") == Some(conversion.0)
        || hex()
        || *known.names.text(NameKind::Conversion, conversion.0) == *id
}

fn explained(
    known: &Known<'_>,
    dims: &Dims,
    tenant: TenantId,
    merging: &Merging,
    one: &Merged,
) -> Result<Found, ReadError> {
    let Some(made) = &one.conversion else {
        return Ok(no_conversion(known, dims, tenant, one));
    };
    let households = BTreeSet::from([made.household]);
    let life = if made.household.is_some() {
        let (from, to) = days_of(known, dims, made);
        let whose = Whose::Households(&households);
        lives(known, dims, tenant, whose, |day| {
            if (from..=to).contains(&day) {
                Part::Whole
            } else {
                Part::Nothing
            }
        })?
        .remove(&made.household)
    } else {
        None
    };
    let receipts = merging.receipts.get(&one.id).map_or(&[][..], Vec::as_slice);
    let credited = credited(known, dims, tenant, made, life.as_ref(), receipts);
    let mut rows = vec![ViewRow::from(credited.row.clone())];
    rows.extend(credited.credits.iter().cloned().map(ViewRow::from));
    let brand = credited.row.1.brand;
    let carried = one.signals.iter().any(|signal| signal.carried) || credited.frozen;
    Ok(Found {
        tenant,
        id: one.id.to_string(),
        known_from: if carried {
            KnownFrom::EventsAndCarries
        } else {
            KnownFrom::Events
        },
        numbers: numbers(known, &rows),
        moves: vec![Moves::Credits(made.time.day(), brand, made.currency)],
        because: Because::Conversion(Box::new(because::because(
            known,
            dims,
            one,
            made,
            life.as_ref(),
            &credited,
        ))),
        rows,
    })
}

/// The days that say what lies on the path, and who is shared.
fn days_of(known: &Known<'_>, dims: &Dims, made: &Made) -> (Day, Day) {
    const SPAN_DAYS: i32 = 30;
    let lookback_max = i64::from(known.horizons.lookback_days) * 86_400;
    let lookback = dims.settings().lookback_secs.min(lookback_max);
    let days = i32::try_from(lookback.max(0) * 1000 / DAY_MS).unwrap_or(i32::MAX);
    let day = made.time.day().0;
    (
        Day(day.saturating_sub(days.saturating_add(1 + SPAN_DAYS))),
        Day(day.saturating_add(SPAN_DAYS)),
    )
}

fn released(
    known: &Known<'_>,
    tenant: TenantId,
    wanted: &dyn Fn(ConversionId) -> bool,
) -> Result<Option<Found>, ReadError> {
    let Some(through) = known.conversions_released() else {
        return Ok(None);
    };
    let of = |key: &ViewKey| match key {
        ViewKey::Conversions(key) => (key.tenant == tenant).then_some(key.conversion),
        ViewKey::Credits(key) => (key.tenant == tenant).then_some(key.conversion),
        _ => None,
    };
    let mut rows = Vec::new();
    for view in [View::Conversions, View::Credits] {
        let there = known
            .archive
            .rows(view, &|key| of(key).is_some_and(wanted))?;
        let there = there.into_iter();
        rows.extend(there.filter_map(|(key, value)| Some(ViewRow { key, value: value? })));
    }
    let Some(id) = rows.first().and_then(|row| of(&row.key)) else {
        return Ok(None);
    };
    Ok(Some(Found {
        tenant,
        id: id.to_string(),
        known_from: KnownFrom::ArchiveReleased,
        numbers: numbers(known, &rows),
        moves: rows.first().map(moves).into_iter().collect(),
        rows,
        because: Because::Released {
            through: through.to_string(),
        },
    }))
}

fn moves(row: &ViewRow) -> Moves {
    match &row.value {
        ViewValue::Conversions(row) => Moves::Credits(row.time.day(), row.brand, row.currency),
        _ => Moves::Credits(Day(i32::MIN), BrandId::NONE, Currency::default()),
    }
}

fn numbers(known: &Known<'_>, rows: &[ViewRow]) -> Vec<(String, Value)> {
    let mut numbers = Vec::new();
    for row in rows {
        match (&row.key, &row.value) {
            (_, ViewValue::Conversions(row)) => {
                numbers.push(("conversions".to_owned(), json!(1)));
                numbers.push(("value_micros".to_owned(), json!(row.value.0)));
                numbers.push(("currency".to_owned(), json!(row.currency.as_str())));
                numbers.push((
                    "matched_by".to_owned(),
                    json!(words::matched_by(row.matched_by)),
                ));
                numbers.push(("touches".to_owned(), json!(row.touches)));
                numbers.push(("touches_cut".to_owned(), json!(row.touches_cut)));
            }
            (ViewKey::Credits(key), ViewValue::Credits(row)) => {
                let line = known.name(NameKind::Line, key.line.0);
                for (model, amount) in Model::ALL.into_iter().zip(row.credit_micros) {
                    let name = format!("credit_{}_micros of {line}", model.as_str());
                    numbers.push((name, json!(amount)));
                }
            }
            _ => {}
        }
    }
    numbers
}
