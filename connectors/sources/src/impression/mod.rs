//! The impression pixel of an ad server or host. Fields: this folder's README.

use hostread_connectors_kit::{Connector, Mapped, Origin, Raw, Rejected};
use hostread_schemas::event::{Body, Event, Impression, ImpressionKind};

use crate::web::Answers;

/// Fields of the door.
pub const FIELDS: &[&str] = &[
    "k", "line", "show", "episode", "kind", "session", "id", "time", "ip", "agent", "consent",
];

/// Maps a query string.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImpressionDoor;

impl Connector for ImpressionDoor {
    fn name(&self) -> &'static str {
        "impression"
    }

    fn map(&self, origin: &Origin<'_>, raw: &Raw<'_>) -> Mapped {
        Answers::read(raw.body)
            .and_then(|answers| event(origin, raw, &answers))
            .into()
    }
}

fn event(origin: &Origin<'_>, raw: &Raw<'_>, answers: &Answers) -> Result<Event, Rejected> {
    answers.known(FIELDS)?;
    let ip = answers.address(origin, raw)?;
    let agent = answers.agent(raw);
    let time = answers.time(origin)?;
    let own_id = answers.own_id(time, ip.as_ref(), &agent);
    let kinds = [
        ("delivered", ImpressionKind::Delivered),
        ("client_confirmed", ImpressionKind::ClientConfirmed),
        ("control_exposure", ImpressionKind::ControlExposure),
    ];
    let impression = Impression {
        line: answers.required("line")?,
        show: answers.owned("show").unwrap_or_default(),
        episode: answers.owned("episode").unwrap_or_default(),
        kind: answers.word("kind", &kinds, ImpressionKind::Delivered)?,
        ip: ip.unwrap_or_default(),
        agent,
        session: answers.owned("session"),
    };
    Ok(origin.event(&own_id, time, Body::Impression(impression)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;
    use hostread_connectors_kit::conformance::{Bench, check, fixtures};

    const FIXTURES: &str = include_str!("fixtures/queries.txt");

    #[test]
    fn conformance() {
        let fixtures = fixtures(FIXTURES, "impression", "198.51.100.7");
        check(&ImpressionDoor, &fixtures, &["198.51.100.7", "203.0.113.9"]);
    }

    #[test]
    fn a_server_states_its_listener() {
        let bench = Bench::new();
        let fields = [("peer", "198.51.100.7"), ("user-agent", "AdServer/1")];
        let body = b"line=l1&ip=203.0.113.9&agent=Podcasts/2";
        let Mapped::Event(event) = ImpressionDoor.map(
            &bench.origin("b", 0),
            &Raw {
                fields: &fields,
                body,
            },
        ) else {
            panic!()
        };
        let Body::Impression(said) = event.body else {
            panic!()
        };
        assert_eq!(said.agent, "Podcasts/2");
        let Mapped::Event(event) = ImpressionDoor.map(
            &bench.origin("b", 0),
            &Raw {
                fields: &fields,
                body: b"line=l1",
            },
        ) else {
            panic!()
        };
        let Body::Impression(own) = event.body else {
            panic!()
        };
        assert_eq!(own.agent, "AdServer/1");
        assert_ne!(said.ip, own.ip);
    }
}
