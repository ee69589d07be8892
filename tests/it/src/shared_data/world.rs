//! A tenant whose events go through the doors and come back as rows.

use std::collections::{BTreeMap, BTreeSet};

use hostread_gateway::GatewayConfig;
use hostread_job::replay::{Replayed, replay};
use hostread_rules::Horizons;
use hostread_schemas::event::Event;
use hostread_schemas::view::{
    ConversionRow, CreditKey, CreditRow, DownloadKey, ViewKey, ViewValue, WindowKind,
};
use hostread_schemas::{Day, EventId, NameKind};
use serde_json::{Value, json};

use crate::doors::bench::{Disks, Doors, IDS, SECRET, tenant};

/// A time that no vector's event comes before.
const EARLY: &str = "2026-11-01T00:00:00Z";
/// Events of one batch.
const BATCH: usize = 5_000;

pub(super) struct World {
    pub(super) doors: Doors,
    said: Vec<Value>,
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with(GatewayConfig::default(), SECRET).await
    }

    pub(super) async fn with(config: GatewayConfig, secret: &str) -> Self {
        let doors = Doors::of(Disks::new(0), config, vec![tenant("north", secret)]).await;
        Self {
            doors,
            said: Vec::new(),
        }
    }

    /// An event in its JSON form; a fact of the catalog or of a deal needs no time.
    pub(super) fn say(&mut self, mut event: Value) {
        let fields = event.as_object_mut().unwrap();
        fields.entry("time").or_insert_with(|| EARLY.into());
        self.said.push(event);
    }

    /// A file of a show, by its own name and path.
    pub(super) fn episode(&mut self, name: &str, facts: &Value) {
        let number = |field: &str| facts[field].as_u64();
        self.say(json!({
            "type": "episode", "id": format!("episode {name}"), "show": "show", "episode": name,
            "enclosures": [format!("/{name}.mp3")],
            "size_bytes": number("size").unwrap_or_default(),
            "header_bytes": number("id3_bytes").unwrap_or_default(),
            "bit_rate": number("bit_rate"),
            "duration_secs": number("seconds"),
        }));
    }

    /// A line item of the one campaign of a brand.
    pub(super) fn line(&mut self, line: &str, brand: &str, kind: &str, controlling: &str) {
        self.say(json!({"type": "campaign", "id": format!("campaign {brand}"), "campaign": brand, "brand": brand}));
        self.say(json!({
            "type": "line_item", "id": format!("line {line}"), "line": line, "campaign": brand, "kind": kind,
            "controlling": controlling, "goal": 100_000, "start": "2026-11-01", "end": "2026-11-30", "zone": "UTC",
            "price_kind": "cpm", "price": 25_000_000, "currency": "USD",
        }));
    }

    /// A request for an episode's file; bytes are inclusive at both ends.
    pub(super) fn request(
        &mut self,
        episode: &str,
        listener: &Listener,
        time: &str,
        request: &Value,
    ) {
        let number = |field: &str| request[field].as_u64();
        let (first, last) = (number("first"), number("last"));
        let sent = match (first, last, number("bytes")) {
            (Some(first), Some(last), _) => last - first + 1,
            (_, _, bytes) => bytes.unwrap_or_default(),
        };
        let method = match request["method"].as_str().unwrap_or("GET") {
            "GET" => "get",
            "HEAD" => "head",
            _ => "other",
        };
        let id = format!("request {}", self.said.len());
        self.say(json!({
            "type": "request", "id": id, "time": time, "enclosure": format!("/{episode}.mp3"), "method": method,
            "status": number("status").unwrap_or(200), "range_first": first, "range_last": last,
            "sent_first": first.unwrap_or_default(), "sent_bytes": sent, "ip": listener.ip, "agent": listener.agent,
        }));
    }

    /// Sends what was said; every event is taken.
    pub(super) async fn send(&mut self) {
        for batch in std::mem::take(&mut self.said).chunks(BATCH) {
            let answer = self
                .doors
                .post("/v1/events", Value::from(batch.to_vec()).to_string())
                .await;
            assert_eq!(
                answer.status,
                200,
                "{}",
                String::from_utf8_lossy(&answer.bytes)
            );
            assert_eq!(answer.json()["rejected"], json!([]));
        }
    }

    /// The rows of everything in the log; the same for one worker and for two.
    pub(super) async fn rows(&mut self) -> Rows {
        self.send().await;
        let events = self.doors.events().await;
        let one = run(events.clone(), 1).await;
        let two = run(events, 2).await;
        assert!(
            one.rows == two.rows,
            "two workers say something else than one"
        );
        assert_eq!(one.refused, 0);
        Rows(one)
    }
}

async fn run(events: Vec<Event>, workers: usize) -> Replayed {
    let work = move || replay(events, None, workers, Horizons::default(), IDS);
    tokio::task::spawn_blocking(work).await.unwrap().unwrap()
}

/// Somebody who listens.
pub(super) struct Listener {
    pub(super) ip: String,
    pub(super) agent: String,
}

impl Listener {
    /// Nobody else has this address.
    pub(super) fn number(number: usize) -> Self {
        Self {
            ip: format!(
                "86.{}.{}.{}",
                number >> 16 & 255,
                number >> 8 & 255,
                number & 255
            ),
            agent: "AntennaPod/3.4.0".to_owned(),
        }
    }
}

/// Id of an event of `/v1/events`.
pub(super) fn event_id(own: &str) -> EventId {
    IDS.event_id("north", "api", own.as_bytes())
}

/// The rows at the end, by the names that they were told under.
pub(super) struct Rows(pub(super) Replayed);

impl Rows {
    pub(super) fn name(&self, kind: NameKind, id: u64) -> String {
        self.0.names.text(kind, id).to_string()
    }

    pub(super) fn downloads(&self) -> impl Iterator<Item = (String, &DownloadKey)> {
        self.0.rows.keys().filter_map(|key| match key {
            ViewKey::Downloads(key) => Some((self.name(NameKind::Episode, key.episode.0), key)),
            _ => None,
        })
    }

    /// Downloads of an episode: (downloads, distinct listeners).
    pub(super) fn counted(&self, episode: &str) -> (usize, usize) {
        let of: Vec<&DownloadKey> = self
            .downloads()
            .filter(|(name, _)| name == episode)
            .map(|(_, key)| key)
            .collect();
        let listeners: BTreeSet<_> = of.iter().map(|key| key.listener).collect();
        (of.len(), listeners.len())
    }

    /// Downloads of an episode by UTC day under a window.
    pub(super) fn by_day(&self, window: WindowKind, episode: &str) -> BTreeMap<Day, i64> {
        let mut days = BTreeMap::new();
        for (key, value) in &self.0.rows {
            if let (ViewKey::DownloadsDaily(key), ViewValue::DownloadsDaily(row)) = (key, value)
                && key.window == window
                && self.name(NameKind::Episode, key.episode.0) == episode
            {
                *days.entry(key.day).or_default() += row.downloads;
            }
        }
        days
    }

    /// Ads delivered by line.
    pub(super) fn delivered(&self) -> BTreeMap<String, i64> {
        let mut sums = BTreeMap::new();
        for (key, value) in &self.0.rows {
            if let (ViewKey::DeliveryDaily(key), ViewValue::DeliveryDaily(row)) = (key, value) {
                *sums
                    .entry(self.name(NameKind::Line, key.line.0))
                    .or_default() += row.delivered;
            }
        }
        sums
    }

    pub(super) fn conversions(&self) -> Vec<&ConversionRow> {
        let rows = self.0.rows.values().filter_map(|value| match value {
            ViewValue::Conversions(row) => Some(row.as_ref()),
            _ => None,
        });
        rows.collect()
    }

    pub(super) fn credits(&self) -> impl Iterator<Item = (&CreditKey, &CreditRow)> {
        self.0
            .rows
            .iter()
            .filter_map(|(key, value)| match (key, value) {
                (ViewKey::Credits(key), ViewValue::Credits(row)) => Some((key, row.as_ref())),
                _ => None,
            })
    }
}
