//! A catalog as events, for the door `/v1/events`: those of what differs between two states of it.

use std::collections::BTreeMap;

use anyhow::Result;
use hostread_connectors_kit::signature::sha256_hex;
use hostread_schemas::EventTimeMs;
use hostread_schemas::event::{Body, Episode as EpisodeEvent, Show, Slot};
use serde_json::{Value, json};

use super::{CatalogFile, Episode};

/// What `after` says and `before` did not, as stated at `now`. Slots that are gone are withdrawn.
pub(crate) fn events(
    before: &CatalogFile,
    after: &CatalogFile,
    now: EventTimeMs,
) -> Result<Vec<Value>> {
    let (then, today) = (bodies(before)?, bodies(after)?);
    let mut changed = Vec::new();
    for (key, body) in &today {
        if then.get(key) != Some(body) {
            changed.push((key, body.clone()));
        }
    }
    for (key, body) in &then {
        if let (Body::Slot(slot), false) = (body, today.contains_key(key)) {
            let removed = true;
            let gone = Slot {
                removed,
                ..slot.clone()
            };
            changed.push((key, Body::Slot(gone)));
        }
    }
    let event = |(key, body): (&String, Body)| {
        let mut event = serde_json::to_value(body)?;
        // Stated again it is a later statement: the latest holds.
        event["id"] = json!(sha256_hex(format!("{key}\0{}", now.0).as_bytes()));
        event["time"] = json!(now);
        event["source"] = json!("feed");
        Ok(event)
    };
    changed.into_iter().map(event).collect()
}

/// Every fact by its key.
fn bodies(file: &CatalogFile) -> Result<BTreeMap<String, Body>> {
    let mut bodies = BTreeMap::new();
    for feed in file.feeds.values() {
        let body = Show {
            show: feed.show.clone(),
            title: feed.title.clone(),
        };
        bodies.insert(format!("show\0{}", feed.show), Body::Show(body));
    }
    for episode in file
        .episodes
        .iter()
        .filter(|episode| !episode.show.is_empty())
    {
        let key = format!("episode\0{}\0{}", episode.show, episode.id);
        for (line, slot) in slots(episode) {
            bodies.insert(format!("slot\0{}\0{line}", slot.slot), Body::Slot(slot));
        }
        bodies.insert(key, Body::Episode(fact(episode)?));
    }
    Ok(bodies)
}

fn fact(episode: &Episode) -> Result<EpisodeEvent> {
    Ok(EpisodeEvent {
        show: episode.show.clone(),
        episode: episode.id.clone(),
        title: episode.title.clone(),
        enclosures: episode.paths().cloned().collect(),
        published_at: episode.published()?,
        size_bytes: episode.size_bytes,
        header_bytes: episode.id3_bytes,
        bit_rate: episode.bit_rate,
        duration_secs: episode.seconds,
        vbr: episode.vbr,
    })
}

/// Ads of which the line item is known, by their place among those of their line.
fn slots(episode: &Episode) -> Vec<(String, Slot)> {
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    let ads = episode
        .ads
        .iter()
        .filter_map(|ad| Some((ad.line.as_deref()?, ad)));
    let slot = |(line, ad): (&str, &super::Ad)| Slot {
        slot: String::new(),
        show: episode.show.clone(),
        episode: episode.id.clone(),
        line: line.to_owned(),
        first_byte: ad.first_byte,
        last_byte: ad.last_byte,
        removed: false,
    };
    let mut slots = Vec::new();
    for (line, ad) in ads {
        let place = count.entry(line).or_default();
        *place += 1;
        let mut slot = slot((line, ad));
        slot.slot = format!("{}/{}/{line}/{place}", episode.show, episode.id);
        slots.push((line.to_owned(), slot));
    }
    slots
}
