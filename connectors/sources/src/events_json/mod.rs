//! Any event in its JSON form, as `POST /v1/events` takes it. The door knows tenant, receipt and key; the rest is the sender's.
//! Promises: an id of the sender's own is hashed under (tenant, source), also one that looks like a hash; an address given as text
//! is hashed here and forgotten; an event that names another tenant is refused.

use hostread_connectors_kit::text::{enclosure_path, host_of};
use hostread_connectors_kit::{Connector, Mapped, Origin, Raw, Rejected};
use hostread_schemas::event::{Body, Event, IpFacts};
use hostread_schemas::json::{Draft, FieldError, read_draft};

use crate::web::clean_agent;

/// Maps one event.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventsJson;

impl Connector for EventsJson {
    fn name(&self) -> &'static str {
        "events_json"
    }

    fn map(&self, origin: &Origin<'_>, raw: &Raw<'_>) -> Mapped {
        match read_draft(raw.body).and_then(|draft| event(origin, draft)) {
            Ok(event) => Mapped::Event(Box::new(event)),
            Err(error) => Mapped::Rejected(Rejected::field("event", error.field, error.message)),
        }
    }
}

/// The event that a draft states; `origin.source` is used where the draft names none.
pub fn event(origin: &Origin<'_>, mut draft: Draft) -> Result<Event, FieldError> {
    if draft
        .tenant
        .as_ref()
        .is_some_and(|tenant| tenant != origin.tenant)
    {
        return Err(FieldError::new("tenant", "is not the tenant of this key"));
    }
    let time = draft
        .time
        .ok_or_else(|| FieldError::new("time", "is needed"))?;
    if let Some(address) = draft.ip.take() {
        let facts = origin
            .pseudonyms
            .address_text(&address)
            .ok_or_else(|| FieldError::new("ip", "is not an address"))?;
        set_address(&mut draft.body, facts);
    }
    if let (Some(customer), Body::Order(order)) = (draft.customer.take(), &mut draft.body) {
        order.customer = origin.pseudonyms.customer(&customer);
    }
    tidy(&mut draft.body)?;
    let own_id = match draft.id {
        Some(id) => id.into_bytes(),
        // Without an id, what is stated is what it is: the same statement twice is one event.
        None => serde_json::to_vec(&(time, &draft.body))
            .map_err(|_| FieldError::new("", "cannot be written"))?,
    };
    let source = draft.source.unwrap_or_else(|| origin.source.to_owned());
    let batch_id = draft.batch_id.unwrap_or_else(|| origin.batch_id.to_owned());
    let named = Origin {
        source: &source,
        batch_id: &batch_id,
        ..origin.clone()
    };
    let mut event = named.event(&own_id, time, draft.body);
    event.meta.revision = draft.revision;
    Ok(event)
}

fn set_address(body: &mut Body, facts: IpFacts) {
    match body {
        Body::Request(body) => body.ip = facts,
        Body::Impression(body) => body.ip = facts,
        Body::Pixel(body) => body.ip = Some(facts),
        Body::Order(body) => body.ip = Some(facts),
        Body::Redemption(body) => body.ip = Some(facts),
        _ => {}
    }
}

/// Whole addresses become paths and hosts: a catalog and a log must name one file alike.
fn tidy(body: &mut Body) -> Result<(), FieldError> {
    let path = |field: String, address: &mut String| {
        if address.contains("://") {
            *address = enclosure_path(address)
                .ok_or_else(|| FieldError::new(field, "is not UTF-8 once it is decoded"))?
                .into_owned();
        }
        Ok(())
    };
    match body {
        Body::Request(body) => {
            path("enclosure".to_owned(), &mut body.enclosure)?;
            body.agent = clean_agent(&body.agent).into_owned();
            if body
                .referrer
                .as_ref()
                .is_some_and(|referrer| referrer.contains("://"))
            {
                body.referrer = body.referrer.as_deref().and_then(host_of);
            }
            Ok(())
        }
        Body::Episode(body) => body
            .enclosures
            .iter_mut()
            .enumerate()
            .try_for_each(|(index, address)| path(format!("enclosures[{index}]"), address)),
        Body::Impression(body) => {
            body.agent = clean_agent(&body.agent).into_owned();
            Ok(())
        }
        Body::Pixel(body) => {
            body.agent = clean_agent(&body.agent).into_owned();
            Ok(())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;
    use hostread_connectors_kit::conformance::{Bench, Expect, Fixture, check};

    const FIXTURES: &str = include_str!("fixtures/events.ndjson");

    fn read(line: &str) -> Result<Event, FieldError> {
        let bench = Bench::new();
        event(&bench.origin("b", 0), read_draft(line.as_bytes()).unwrap())
    }

    #[test]
    fn a_customer_is_hashed_at_the_door() {
        let of = |customer: &str| {
            let raw = format!(
                r#"{{"type":"order","store":"s","order_id":"1","customer":"{customer}","time":"2026-11-09T00:00:00Z"}}"#
            );
            match read(&raw) {
                Ok(Event {
                    body: Body::Order(order),
                    ..
                }) => order.customer,
                other => panic!("an order, not {other:?}"),
            }
        };
        assert_eq!(of(" Ana@Example.com"), of("ana@example.com"));
        assert_ne!(of("7"), of("8"));
        let hash = of("00000000000000ff");
        assert!(
            hash.is_some_and(|hash| hash.0 != 255),
            "also what looks like a hash"
        );
        assert_eq!(of(""), None);
    }

    #[test]
    fn conformance() {
        let mut fixtures: Vec<Fixture> = FIXTURES
            .lines()
            .map(|line| {
                let event: serde_json::Value = serde_json::from_str(line).unwrap();
                let word = event["type"].as_str().unwrap().to_owned();
                Fixture::new(
                    word.clone(),
                    line,
                    Expect::Event(Box::leak(word.into_boxed_str())),
                )
            })
            .collect();
        assert_eq!(
            fixtures.len(),
            hostread_schemas::event::EventType::ALL.len(),
            "one of each type"
        );
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"type":"visit"}"#,
            r#"{"type":"show","show":"s"}"#,
            r#"{"type":"show","show":"s","time":"2026-11-09T00:00:00Z","tenant":"other"}"#,
            r#"{"type":"show","show":"s","show":"t","time":"2026-11-09T00:00:00Z"}"#,
            r#"{"type":"pixel","store":"s","ip":"1.2.3","time":"2026-11-09T00:00:00Z"}"#,
            r#"{"type":"show","show":"s","ip":"192.0.2.1","time":"2026-11-09T00:00:00Z"}"#,
        ] {
            fixtures.push(Fixture::new(bad, bad, Expect::Rejected("event")));
        }
        check(&EventsJson, &fixtures, &["203.0.113.9", "2001:db8:7:8"]);
    }

    #[test]
    fn ids_are_hashed_whatever_they_look_like() {
        let line =
            |id: &str| format!(r#"{{"type":"show","show":"s","time":"2026-11-09T00:00:00Z"{id}}}"#);
        let hex = "0123456789abcdef0123456789abcdef";
        let of = |id: &str| read(&line(id)).unwrap().meta.id;
        assert_ne!(of(&format!(r#","id":"{hex}""#)).to_hex(), hex);
        assert_eq!(of(""), of(""));
        assert_ne!(of(r#","id":"1""#), of(r#","id":"2""#));
        assert_ne!(
            of(r#","id":"1","source":"a""#),
            of(r#","id":"1","source":"b""#),
            "ids of two sources are two"
        );
        assert_eq!(
            of(r#","id":"1""#),
            of(r#","id":"1","revision":3"#),
            "a correction is the same event"
        );
    }

    #[test]
    fn whole_addresses_become_paths() {
        let event = read(r#"{"type":"episode","show":"s","episode":"e","enclosures":["https://cdn.example.com/a%20b.mp3?x=1","/plain.mp3"],"time":"2026-11-09T00:00:00Z"}"#).unwrap();
        let Body::Episode(episode) = event.body else {
            panic!()
        };
        assert_eq!(episode.enclosures, ["/a b.mp3", "/plain.mp3"]);
    }
}
