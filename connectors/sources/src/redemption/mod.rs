//! Redemptions of promo codes, one JSON object each. Fields: this folder's README.

use hostread_connectors_kit::{Connector, Mapped, Origin, Raw, Rejected};
use hostread_schemas::event::{Body, Event, Redemption};

use crate::web::Answers;

/// Fields of the door.
pub const FIELDS: &[&str] = &[
    "store", "code", "order", "value", "currency", "id", "time", "ip", "consent",
];

/// Maps a JSON object.
#[derive(Clone, Copy, Debug, Default)]
pub struct RedemptionDoor;

impl Connector for RedemptionDoor {
    fn name(&self) -> &'static str {
        "redemption"
    }

    fn map(&self, origin: &Origin<'_>, raw: &Raw<'_>) -> Mapped {
        Answers::read(raw.body)
            .and_then(|answers| event(origin, raw, &answers))
            .into()
    }
}

/// A JSON object or an array of them: one result each, in order. An error of the whole when it is neither or has more entries.
pub fn list(
    origin: &Origin<'_>,
    body: &[u8],
    entries_max: usize,
) -> Result<Vec<Result<Event, Rejected>>, Rejected> {
    let raw = Raw { fields: &[], body };
    let entries = Answers::read_list(body, entries_max)?;
    Ok(entries
        .into_iter()
        .map(|answers| event(origin, &raw, &answers?))
        .collect())
}

fn event(origin: &Origin<'_>, raw: &Raw<'_>, answers: &Answers) -> Result<Event, Rejected> {
    answers.known(FIELDS)?;
    let (value, currency) = answers.money()?;
    // A shop's server calls: its own address says nothing about the buyer.
    let ip = answers.address(
        origin,
        &Raw {
            fields: &[],
            ..*raw
        },
    )?;
    // Without a time a repeat could not be told from a second redemption.
    if answers.text("time").is_none() {
        return Err(Rejected::field("missing", "time", "is needed"));
    }
    let time = answers.time(origin)?;
    let own_id = answers.own_id(time, ip.as_ref(), "");
    let redemption = Redemption {
        store: answers.required("store")?,
        code: answers.required("code")?,
        order: answers.owned("order"),
        value,
        currency,
        ip,
    };
    Ok(origin.event(&own_id, time, Body::Redemption(redemption)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;
    use hostread_connectors_kit::conformance::{check, fixtures};

    const FIXTURES: &str = include_str!("fixtures/redemptions.txt");

    #[test]
    fn conformance() {
        let fixtures = fixtures(FIXTURES, "redemption", "198.51.100.7");
        check(&RedemptionDoor, &fixtures, &["203.0.113.9"]);
    }
}
