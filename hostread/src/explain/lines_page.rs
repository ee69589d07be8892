//! The pages of a line item.

use hostread_explain::{BillingLine, Pacing};

use super::page::{Page, millionths, money};
use crate::report::grouped;

/// The plan, the state, the days.
pub(super) fn pacing(page: &mut Page, it: &Pacing) {
    page.fields(
        "The line item",
        &[
            ("campaign", it.campaign.clone()),
            (
                "kind",
                format!("{}, counted by {}", it.kind, it.controlling),
            ),
            ("goal", grouped(it.goal.cast_signed())),
            ("flight", format!("{} to {}, {}", it.start, it.end, it.zone)),
            ("said by", format!("event {}", it.line_event)),
        ],
    );
    page.fields(
        "Judged at the start of the clock's hour",
        &[
            ("hour", it.as_of.clone()),
            ("delivered", grouped(it.delivered)),
            ("expected", grouped(it.expected)),
            ("last ad", it.last_billable_hour.clone().unwrap_or_default()),
            ("state", format!("{}: {}", it.state, it.state_because)),
        ],
    );
    if it.kind == "baked_in" {
        let rows = it.reads.iter().map(|read| {
            vec![
                read.episode.clone(),
                read.aired_at.clone(),
                read.event.to_string(),
                grouped(read.episode_goal.cast_signed()),
            ]
        });
        page.grid(
            "Reads that aired; each is expected evenly over 30 days",
            &["episode", "aired at", "event", "goal"],
            3,
            rows.collect(),
        );
    }
    let rows = it.days.iter().map(|day| {
        vec![
            day.day.clone(),
            if day.carried { "carried on" } else { "" }.to_owned(),
            grouped(day.delivered),
            grouped(day.billable),
            grouped(day.delivered_so_far),
            grouped(day.expected_so_far),
        ]
    });
    page.grid(
        "By billing day",
        &[
            "day",
            "",
            "delivered",
            "billable",
            "billable so far",
            "expected so far",
        ],
        2,
        rows.collect(),
    );
}

/// The arithmetic, and what goes into it.
pub(super) fn billing_line(page: &mut Page, it: &BillingLine) {
    let per = if it.price_kind == "cpm" {
        "a thousand ads"
    } else {
        "a conversion"
    };
    let cpm = it.price_kind == "cpm";
    let quantity = |n: i64| if cpm { grouped(n) } else { millionths(n) };
    let cost = |micros: i64| money(micros, &it.currency);
    page.fields(
        "The line item",
        &[
            ("campaign", it.campaign.clone()),
            ("price", format!("{} for {per}", cost(it.price_micros))),
            (
                "goal",
                if cpm {
                    grouped(it.goal.cast_signed())
                } else {
                    String::new()
                },
            ),
            (
                "model",
                if cpm {
                    String::new()
                } else {
                    it.model.to_owned()
                },
            ),
            ("zone", it.zone.clone()),
            ("said by", format!("event {}", it.line_event)),
        ],
    );
    let under = if cpm { ", at most the goal" } else { "" };
    page.fields(
        "The arithmetic: price of all so far, less price of all before the month, each rounded once",
        &[
            ("before the month", quantity(it.before)),
            ("in the month", quantity(it.in_month)),
            ("billed before", format!("{}{under}: {}", quantity(it.billed_before), cost(it.cost_before_micros))),
            ("billed with it", format!("{}{under}: {}", quantity(it.billed_through), cost(it.cost_through_micros))),
            ("quantity", format!("{} - {} = {}", quantity(it.billed_through), quantity(it.billed_before), quantity(it.quantity))),
            ("amount", format!("{} - {} = {}", cost(it.cost_through_micros), cost(it.cost_before_micros), cost(it.amount_micros))),
        ],
    );
    let rows = it.days.iter().map(|day| {
        let carried = if day.carried { "carried on" } else { "" };
        vec![day.day.clone(), carried.to_owned(), quantity(day.quantity)]
    });
    page.grid("Its days", &["day", "", "quantity"], 2, rows.collect());
    if !cpm {
        let rows = it.conversions.iter().map(|one| {
            vec![
                one.day.clone(),
                one.conversion.clone(),
                one.order_reference.clone(),
                millionths(one.credit_micros),
            ]
        });
        page.grid(
            "Conversions with authenticated money",
            &["day", "conversion", "order", "credit"],
            3,
            rows.collect(),
        );
    }
}
