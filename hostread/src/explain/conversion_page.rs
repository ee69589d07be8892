//! The page of a conversion.

use hostread_explain::{Conversion, PathStep};
use hostread_schemas::event::Model;
use serde_json::Value;

use super::page::{Page, event, millionths, money};
use crate::report::grouped;

/// From the signals to the money of each line.
pub(super) fn conversion(page: &mut Page, it: &Conversion) {
    page.fields(
        "The conversion",
        &[
            ("order", it.order_reference.clone()),
            ("store", format!("{}{}", it.store, event(it.store_event))),
            ("brand", it.brand.clone()),
            ("time", it.time.clone()),
        ],
    );
    signals(page, it);
    if let Some(because) = it.none_because {
        page.head("It is no conversion");
        page.line(&format!("  {because}"));
        return;
    }
    let cost = |micros: i64| money(micros, &it.currency);
    page.fields(
        "Its money",
        &[
            ("stated", cost(it.stated_micros)),
            ("given back", cost(it.refunded_micros)),
            ("value", cost(it.value_micros)),
        ],
    );
    matching(page, it);
    path(page, it);
    let rows = it.credits.iter().map(|credits| {
        let mut row = vec![credits.line.clone(), credits.campaign.clone()];
        row.extend(Model::ALL.iter().map(|model| {
            let of = |value: &Value| {
                let amount = value.get(model.as_str()).and_then(Value::as_i64);
                amount.unwrap_or_default()
            };
            let (credit, amount) = (of(&credits.credit_micros), of(&credits.money_micros));
            format!("{} ({})", millionths(credit), cost(amount))
        }));
        row
    });
    page.grid(
        "What each line item earns: credit (and money)",
        &with_models(&["line item", "campaign"]),
        2,
        rows.collect(),
    );
}

fn with_models<'a>(first: &[&'a str]) -> Vec<&'a str> {
    let models = Model::ALL.iter().map(|model| model.as_str());
    first.iter().copied().chain(models).collect()
}

fn signals(page: &mut Page, it: &Conversion) {
    let rows = it.signals.iter().map(|signal| {
        let value = signal
            .value_micros
            .map(|micros| money(micros, &signal.currency));
        let mut notes: Vec<&str> = Vec::new();
        if signal.test {
            notes.push("test");
        }
        if signal.carried {
            notes.push("carried on");
        }
        vec![
            signal.time.clone(),
            signal.event.to_string(),
            signal.kind.to_owned(),
            signal.address.to_owned(),
            signal.code.clone(),
            value.unwrap_or_default(),
            signal.gives.join(", "),
            notes.join(", "),
        ]
    });
    page.grid(
        "Its signals, and what each decides",
        &[
            "time", "event", "kind", "address", "code", "value", "decides", "",
        ],
        8,
        rows.collect(),
    );
}

fn matching(page: &mut Page, it: &Conversion) {
    let agents = it.sharing.as_ref().map(|sharing| {
        format!(
            "{} agents on the day (at most {}), {} in 30 days (at most {}): {}",
            sharing.agents_day,
            sharing.agents_day_max,
            sharing.agents_month,
            sharing.agents_month_max,
            if sharing.shared {
                "shared"
            } else {
                "one household"
            }
        )
    });
    let settings = it
        .settings_event
        .map_or_else(|| "the defaults".to_owned(), |id| format!("event {id}"));
    page.fields(
        "The match",
        &[
            (
                "matched by",
                format!("{}: {}", it.matched_by, it.match_because),
            ),
            ("household", it.household.clone()),
            ("agents", agents.unwrap_or_default()),
            ("lookback", age(it.lookback_secs)),
            ("half-life", age(it.half_life_secs)),
            ("settings", settings),
        ],
    );
}

fn path(page: &mut Page, it: &Conversion) {
    let number = |at: usize| (at + 1).to_string();
    let rows = it.path.iter().enumerate().map(|(at, step)| {
        vec![
            number(at),
            step.time.clone(),
            step.line.clone(),
            step.show.clone(),
            step.from.clone(),
            age(step.age_secs),
        ]
    });
    let title = if it.frozen {
        "The path, oldest first, as it was when its day was sealed"
    } else {
        "The path, oldest first"
    };
    let headers = ["", "time", "line item", "show", "from", "age"];
    page.grid(title, &headers, 5, rows.collect());
    if it.touches_cut > 0 {
        page.line(&format!(
            "  {} touches between the oldest and the 255 nearest were cut",
            it.touches_cut
        ));
    }
    if !it.path.is_empty() {
        by_model(
            page,
            "Weights",
            it,
            |step| &step.weights,
            |weight| {
                weight
                    .as_u64()
                    .map_or_else(String::new, |weight| grouped(weight.cast_signed()))
            },
        );
        by_model(
            page,
            "Credit of each touch",
            it,
            |step| &step.credit_micros,
            |credit| millionths(credit.as_i64().unwrap_or_default()),
        );
    }
    let rows = it.left_out.iter().map(|other| {
        vec![
            other.time.clone(),
            other.line.clone(),
            other.touch.to_string(),
            other.because.to_owned(),
        ]
    });
    page.grid(
        "Ads of the brand to the household that are not on the path",
        &["time", "line item", "touch", "because"],
        4,
        rows.collect(),
    );
    if it.left_out_more > 0 {
        page.line(&format!("  {} more, farther away", it.left_out_more));
    }
    if it.other_brands > 0 {
        page.line(&format!("  and {} of other brands", it.other_brands));
    }
}

fn by_model(
    page: &mut Page,
    title: &str,
    it: &Conversion,
    column: impl Fn(&PathStep) -> &Value,
    show: impl Fn(&Value) -> String,
) {
    let rows = it.path.iter().enumerate().map(|(at, step)| {
        let mut row = vec![(at + 1).to_string(), step.line.clone()];
        let values = Model::ALL.iter();
        row.extend(values.map(|model| {
            column(step)
                .get(model.as_str())
                .map_or_else(String::new, &show)
        }));
        row
    });
    page.grid(title, &with_models(&["", "line item"]), 2, rows.collect());
}

/// Seconds in days, hours, minutes and seconds.
fn age(secs: i64) -> String {
    let (days, rest) = (secs / 86_400, secs % 86_400);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    match days {
        0 => clock,
        days => format!("{days} d {clock}"),
    }
}
