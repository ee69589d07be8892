//! Catalog, deals and rules as items for `POST /v1/events`: the JSON form of events, without what
//! the door knows better (tenant, receipt, batch).

use hostread_schemas::event::{
    Aired, Body, Campaign, Code, Episode, LineItem, RuleSet, Settings, Show, Slot, Store,
};
use hostread_schemas::{Currency, EventTimeMs, MoneyMicros};
use serde::Serialize;

use crate::world::catalog::{self, BRANDS, CAMPAIGNS};
use crate::world::noise::IP_VOLUME_MAX;
use crate::world::people::{BOT_PATTERNS, SHARED_DAY_MAX, SHARED_MONTH_MAX};
use crate::world::scenario::DENIED_HOST;
use crate::world::{DAY_SECS, TenantWorld};

/// One item.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Item {
    id: String,
    time: EventTimeMs,
    #[serde(skip_serializing_if = "is_zero")]
    revision: u32,
    #[serde(flatten)]
    body: Body,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands out references"
)]
const fn is_zero(revision: &u32) -> bool {
    *revision == 0
}

struct Items {
    time: EventTimeMs,
    items: Vec<Item>,
}

impl Items {
    fn add(&mut self, id: String, body: Body) {
        self.revise(id, 0, body);
    }

    fn revise(&mut self, id: String, revision: u32, body: Body) {
        self.items.push(Item {
            id,
            time: self.time,
            revision,
            body,
        });
    }
}

pub(super) fn items(tenant: &TenantWorld) -> Vec<Item> {
    let mut items = Items {
        time: EventTimeMs((tenant.first_secs - DAY_SECS) * 1_000),
        items: Vec::new(),
    };
    rules(tenant, &mut items);
    deals(tenant, &mut items);
    for show in &tenant.catalog.shows {
        let body = Show {
            show: show.name.clone(),
            title: show.title.clone(),
        };
        items.add(format!("show/{}", show.name), Body::Show(body));
    }
    for episode in &tenant.catalog.episodes {
        add_episode(tenant, episode, &mut items);
    }
    corrections(tenant, &mut items);
    items.items
}

fn rules(tenant: &TenantWorld, items: &mut Items) {
    let rule_set = RuleSet {
        rule_set: "iab-2.2+sample.1".to_owned(),
        threshold_secs: 60,
        bot_agents: BOT_PATTERNS.map(str::to_owned).to_vec(),
        referrers_denied: vec![DENIED_HOST.to_owned()],
        ip_volume_downloads_max: IP_VOLUME_MAX,
        ..RuleSet::default()
    };
    items.add("rule-set/sample".to_owned(), Body::RuleSet(rule_set));
    let settings = Settings {
        lookback_hours: tenant.lookback_hours,
        half_life_hours: tenant.half_life_hours,
        shared_agents_day_max: SHARED_DAY_MAX as u32,
        shared_agents_month_max: SHARED_MONTH_MAX as u32,
    };
    items.add("settings".to_owned(), Body::Settings(settings));
}

fn deals(tenant: &TenantWorld, items: &mut Items) {
    for brand in &BRANDS {
        let store = Store {
            store: brand.store.to_owned(),
            brand: brand.name.to_owned(),
        };
        items.add(format!("store/{}", brand.store), Body::Store(store));
    }
    for (name, brand, title) in CAMPAIGNS {
        let campaign = Campaign {
            campaign: name.to_owned(),
            brand: BRANDS[brand].name.to_owned(),
            title: title.to_owned(),
        };
        items.add(format!("campaign/{name}"), Body::Campaign(campaign));
    }
    for line in &tenant.catalog.lines {
        let (start, end) = tenant.flight(line);
        let item = LineItem {
            line: line.name.to_owned(),
            campaign: CAMPAIGNS[line.campaign].0.to_owned(),
            kind: line.kind,
            controlling: line.controlling,
            goal: line.goal,
            start: start.to_string(),
            end: end.to_string(),
            zone: line.zone.to_owned(),
            price_kind: line.price_kind,
            price: MoneyMicros(line.price_micros),
            currency: Currency::parse(line.currency()).unwrap_or_default(),
            model: line.model,
        };
        items.add(format!("line/{}", line.name), Body::LineItem(item));
        if let Some(code) = line.code {
            let item = Code {
                store: BRANDS[line.brand()].store.to_owned(),
                code: code.to_owned(),
                line: line.name.to_owned(),
            };
            items.add(format!("code/{code}"), Body::Code(item));
        }
    }
}

fn episode_body(tenant: &TenantWorld, episode: &catalog::Episode) -> Episode {
    Episode {
        show: tenant.catalog.shows[episode.show].name.clone(),
        episode: episode.name.clone(),
        title: episode.title.clone(),
        enclosures: vec![episode.path.clone()],
        published_at: Some(EventTimeMs(episode.published * 1_000)),
        size_bytes: episode.size,
        header_bytes: episode.header,
        bit_rate: episode.bit_rate,
        duration_secs: episode.duration,
        vbr: episode.vbr,
    }
}

fn aired_body(tenant: &TenantWorld, episode: &catalog::Episode) -> Option<Aired> {
    let (line, at, _) = episode.aired?;
    let line = &tenant.catalog.lines[line];
    Some(Aired {
        line: line.name.to_owned(),
        episode: episode.name.clone(),
        aired_at: EventTimeMs(at * 1_000),
        episode_goal: line.episode_goal,
    })
}

fn add_episode(tenant: &TenantWorld, episode: &catalog::Episode, items: &mut Items) {
    let mut body = episode_body(tenant, episode);
    let show = body.show.clone();
    body.header_bytes = episode.header_at_first.unwrap_or(episode.header);
    items.add(format!("episode/{}", episode.name), Body::Episode(body));
    for slot in &episode.slots {
        let item = Slot {
            slot: slot.name.clone(),
            show: show.clone(),
            episode: episode.name.clone(),
            line: tenant.catalog.lines[slot.line].name.to_owned(),
            first_byte: slot.first,
            last_byte: slot.last,
            removed: slot.removed,
        };
        items.add(format!("slot/{}", slot.name), Body::Slot(item));
    }
    if let Some(mut aired) = aired_body(tenant, episode) {
        if episode.aired.is_some_and(|(_, _, moved)| moved) {
            aired.aired_at.0 -= DAY_SECS * 1_000;
        }
        items.add(format!("aired/{}", episode.name), Body::Aired(aired));
    }
}

/// One byte map and one air date put right: the same id with a higher revision.
fn corrections(tenant: &TenantWorld, items: &mut Items) {
    for episode in &tenant.catalog.episodes {
        if episode.header_at_first.is_some() {
            let body = Body::Episode(episode_body(tenant, episode));
            items.revise(format!("episode/{}", episode.name), 1, body);
        }
        if episode.aired.is_some_and(|(_, _, moved)| moved)
            && let Some(aired) = aired_body(tenant, episode)
        {
            items.revise(format!("aired/{}", episode.name), 1, Body::Aired(aired));
        }
    }
}
