//! The pixel on a brand's site. Fields: this folder's README.

use hostread_connectors_kit::{Connector, Mapped, Origin, Raw, Rejected};
use hostread_schemas::event::{Body, Event, Pixel, PixelKind};

use crate::web::Answers;

/// Fields of the door, as in the query and in JSON.
pub const FIELDS: &[&str] = &[
    "k", "store", "kind", "order", "value", "currency", "code", "id", "time", "ip", "agent",
    "consent",
];

/// Maps a query string or a JSON object.
#[derive(Clone, Copy, Debug, Default)]
pub struct PixelDoor;

impl Connector for PixelDoor {
    fn name(&self) -> &'static str {
        "pixel"
    }

    fn map(&self, origin: &Origin<'_>, raw: &Raw<'_>) -> Mapped {
        Answers::read(raw.body)
            .and_then(|answers| event(origin, raw, &answers))
            .into()
    }
}

fn event(origin: &Origin<'_>, raw: &Raw<'_>, answers: &Answers) -> Result<Event, Rejected> {
    answers.known(FIELDS)?;
    let (value, currency) = answers.money()?;
    let ip = answers.address(origin, raw)?;
    let agent = answers.agent(raw);
    let time = answers.time(origin)?;
    let own_id = answers.own_id(time, ip.as_ref(), &agent);
    let kinds = [
        ("page", PixelKind::Page),
        ("cart", PixelKind::Cart),
        ("lead", PixelKind::Lead),
        ("purchase", PixelKind::Purchase),
    ];
    let pixel = Pixel {
        store: answers.required("store")?,
        kind: answers.word("kind", &kinds, PixelKind::Page)?,
        order: answers.owned("order"),
        value,
        currency,
        code: answers.owned("code"),
        ip,
        agent,
    };
    Ok(origin.event(&own_id, time, Body::Pixel(pixel)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;
    use hostread_connectors_kit::conformance::{Bench, check, fixtures};
    use hostread_schemas::unit::MoneyMicros;

    const FIXTURES: &str = include_str!("fixtures/queries.txt");

    fn map(body: &str, run: i64) -> Mapped {
        let bench = Bench::new();
        let fields = [("peer", "198.51.100.7"), ("user-agent", "Browser/1\u{7}")];
        PixelDoor.map(
            &bench.origin("b", run),
            &Raw {
                fields: &fields,
                body: body.as_bytes(),
            },
        )
    }

    fn pixel(body: &str) -> Pixel {
        match map(body, 0) {
            Mapped::Event(event) => match event.body {
                Body::Pixel(pixel) => pixel,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn conformance() {
        let fixtures = fixtures(FIXTURES, "pixel", "198.51.100.7");
        check(&PixelDoor, &fixtures, &["198.51.100.7", "203.0.113.9"]);
    }

    #[test]
    fn what_a_purchase_says() {
        let said =
            pixel("store=shop&kind=purchase&order=%231041&value=34.4&currency=usd&code=Deep+Dive");
        assert_eq!(said.kind, PixelKind::Purchase);
        assert_eq!(said.order.as_deref(), Some("#1041"));
        assert_eq!(said.value, Some(MoneyMicros(34_400_000)));
        assert_eq!(said.code.as_deref(), Some("Deep Dive"));
        assert_eq!(said.agent, "Browser/1");
        assert!(said.ip.is_some());
        assert!(pixel("store=shop&consent=0").ip.is_none());
        assert_ne!(pixel("store=shop&ip=203.0.113.9").ip, said.ip);
    }

    #[test]
    fn two_page_views_are_two_and_an_id_makes_one_of_a_retry() {
        let id = |body: &str, run: i64| match map(body, run) {
            Mapped::Event(event) => event.meta.id,
            other => panic!("{other:?}"),
        };
        assert_ne!(id("store=shop", 0), id("store=shop", 1));
        assert_eq!(id("store=shop&id=7", 0), id("store=shop&id=7", 1));
        assert_ne!(id("store=shop&id=7", 0), id("store=shop&id=8", 0));
    }
}
