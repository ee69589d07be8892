//! What `hostread count` needs beside the logs: a catalog, patterns of bots, networks that no person listens from.

use hostread_schemas::EventTimeMs;
use serde_json::{Value, json};

use crate::world::TenantWorld;
use crate::world::catalog::Episode;
use crate::world::people::{BOT_PATTERNS, DATA_CENTRES};

/// A tenant's catalog, an episode a line. Those without audio of their own are known by impressions alone.
pub(super) fn catalog(tenant: &TenantWorld) -> String {
    let episodes = tenant.catalog.episodes.iter();
    let episodes = episodes.filter(|episode| !episode.path.is_empty());
    let lines: Vec<String> = episodes
        .map(|episode| entry(tenant, episode).to_string())
        .collect();
    format!("{{\"episodes\": [\n{}\n]}}\n", lines.join(",\n"))
}

fn entry(tenant: &TenantWorld, episode: &Episode) -> Value {
    let slots = episode.slots.iter().filter(|slot| !slot.removed);
    let ad = |slot: &crate::world::catalog::Slot| {
        let line = tenant.catalog.lines[slot.line].name;
        json!({"kind": line, "first_byte": slot.first, "last_byte": slot.last})
    };
    json!({
        "id": episode.name,
        "path": episode.path,
        "size_bytes": episode.size,
        "id3_bytes": episode.header,
        "bit_rate": episode.bit_rate,
        "seconds": episode.duration,
        "vbr": episode.vbr,
        "published_at": EventTimeMs(episode.published * 1_000),
        "ads": slots.map(ad).collect::<Vec<_>>(),
    })
}

/// `bots.json` in the OPAWG v2 format.
pub(super) fn bots() -> String {
    let entry = |pattern: &&str| json!({"name": pattern, "pattern": pattern}).to_string();
    let lines: Vec<String> = BOT_PATTERNS.iter().map(entry).collect();
    format!("{{\"entries\": [\n{}\n]}}\n", lines.join(",\n"))
}

/// `nonhuman-ranges.json`.
pub(super) fn ranges() -> String {
    format!("{}\n", json!({"nonhuman_ip_ranges": DATA_CENTRES}))
}
