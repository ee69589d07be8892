//! What both tenants have agreed on when a history begins.

use hostread_schemas::event::{
    AdKind, Aired, Body, Campaign, Code, ControllingSource, Episode, Event, LineItem, Meta, Model,
    PriceKind, Store,
};
use hostread_schemas::unit::{DAY_MS, HOUR_MS};
use hostread_schemas::{Currency, EventTimeMs, MoneyMicros, ReceivedAtMs};

use super::BASE;
use super::events::{a_rule_set, a_slot, an_episode, of, settings};
use crate::oracle_tests::drive::HASHER;

/// What both tenants have agreed on when a history begins.
pub(super) fn catalog() -> Vec<Event> {
    ["net", "other"].into_iter().flat_map(catalog_of).collect()
}

fn catalog_of(tenant: &str) -> Vec<Event> {
    let line = |line: &str, campaign: &str, kind, controlling, price_kind, model| {
        Body::LineItem(LineItem {
            line: line.to_owned(),
            campaign: campaign.to_owned(),
            kind,
            controlling,
            goal: 1_000,
            start: "2026-10-29".to_owned(),
            end: "2026-11-20".to_owned(),
            zone: of(&["UTC", "America/New_York"], u8::from(line == "line-2")).to_owned(),
            price_kind,
            price: MoneyMicros(25_000_000),
            currency: Currency::default(),
            model,
        })
    };
    let campaign = |campaign: &str, brand: &str| {
        Body::Campaign(Campaign {
            campaign: campaign.to_owned(),
            brand: brand.to_owned(),
            title: String::new(),
        })
    };
    let store = |store: &str, brand: &str| {
        Body::Store(Store {
            store: store.to_owned(),
            brand: brand.to_owned(),
        })
    };
    let code = |code: &str, line: &str| {
        Body::Code(Code {
            store: "store-0".to_owned(),
            code: code.to_owned(),
            line: line.to_owned(),
        })
    };
    let aired = |line: &str| {
        Body::Aired(Aired {
            line: line.to_owned(),
            episode: "ep-0".to_owned(),
            aired_at: EventTimeMs(BASE - HOUR_MS),
            episode_goal: 3_000,
        })
    };
    let bodies = [
        Body::Episode(Episode {
            episode: "ep-1".to_owned(),
            ..an_episode(0, 2, 0, 1)
        }),
        Body::Episode(an_episode(0, 1, 0, 0)),
        Body::Slot(a_slot(0, 0, 0, 0, 0)),
        Body::Slot(a_slot(1, 1, 2, 1, 0)),
        campaign("campaign-0", "brand-0"),
        campaign("campaign-1", "brand-0"),
        campaign("campaign-2", "brand-1"),
        line(
            "line-0",
            "campaign-0",
            AdKind::BakedIn,
            ControllingSource::Bytes,
            PriceKind::Cpm,
            Model::Last,
        ),
        line(
            "line-1",
            "campaign-0",
            AdKind::Inserted,
            ControllingSource::Impressions,
            PriceKind::Cpa,
            Model::Linear,
        ),
        line(
            "line-2",
            "campaign-1",
            AdKind::Inserted,
            ControllingSource::Bytes,
            PriceKind::Cpm,
            Model::Last,
        ),
        line(
            "line-3",
            "campaign-2",
            AdKind::BakedIn,
            ControllingSource::Impressions,
            PriceKind::Cpa,
            Model::TimeDecay,
        ),
        store("store-0", "brand-0"),
        store("store-1", "brand-1"),
        code("save", "line-0"),
        code("deal", "line-1"),
        aired("line-0"),
        aired("line-3"),
        Body::RuleSet(a_rule_set(0, 0, 0, 0, 0)),
        Body::Settings(settings(0, 0, 0)),
    ];
    let events = bodies.into_iter().enumerate().map(|(index, body)| {
        let own_id = format!("catalog-{index}");
        Event {
            meta: Meta {
                id: HASHER.event_id(tenant, "test", own_id.as_bytes()),
                tenant: tenant.to_owned(),
                source: "test".to_owned(),
                time: EventTimeMs(BASE - DAY_MS),
                received_at: ReceivedAtMs(0),
                batch_id: "catalog".to_owned(),
                revision: 0,
            },
            body,
        }
    });
    events.collect()
}
