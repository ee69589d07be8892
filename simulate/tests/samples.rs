//! `samples/` is what its seed gives; and counting it line by line gives its truth.
#![allow(clippy::unwrap_used, reason = "tests panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use hostread_simulate::{Truth, WorldConfig, run, tenants};
use serde_json::Value;

/// Seed of the checked-in samples.
const SEED: u64 = 1;
const NONE: [&str; 0] = [];

/// Files among the samples that no seed makes.
const BY_HAND: [&str; 2] = ["README.md", "paths.csv"];

fn checked_in() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples")
}

fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_owned();
                // Packers differ, and with them the packed bytes.
                let packed = name.extension().is_some_and(|ending| ending == "gz");
                let bytes = if packed {
                    unpacked(&path)
                } else {
                    fs::read(&path).unwrap()
                };
                found.insert(name, bytes);
            }
        }
    }
    found
}

#[test]
fn the_checked_in_samples_are_those_of_their_seed() {
    if std::env::var_os("UPDATE").is_some() {
        run(&checked_in(), WorldConfig::demo(SEED)).unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), WorldConfig::demo(SEED)).unwrap();
    let (made, there) = (files(dir.path()), files(&checked_in()));
    let differ = |(name, bytes): (&PathBuf, &Vec<u8>)| {
        (there.get(name) != Some(bytes)).then(|| name.display().to_string())
    };
    let different: Vec<String> = made.iter().filter_map(differ).collect();
    assert_eq!(different, NONE, "run again with UPDATE=1");
    let left: Vec<&PathBuf> = there
        .keys()
        .filter(|name| !made.contains_key(*name))
        .collect();
    assert!(
        left.iter()
            .all(|name| BY_HAND.contains(&name.to_str().unwrap())),
        "{left:?}"
    );
    let sizes = there
        .keys()
        .map(|name| fs::metadata(checked_in().join(name)).unwrap().len());
    let bytes: u64 = sizes.sum();
    assert!(bytes < 3_000_000, "{bytes}");
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_one_others() {
    let make = |seed| {
        let dir = tempfile::tempdir().unwrap();
        let config = WorldConfig {
            listeners: 60,
            ..WorldConfig::demo(seed)
        };
        run(dir.path(), config).unwrap();
        files(dir.path())
    };
    assert_eq!(make(4), make(4));
    assert_ne!(make(4), make(5));
}

struct Recount {
    downloads: BTreeMap<(String, String), i64>,
    rejected: i64,
    requests: i64,
}

fn unpacked(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut gz = flate2::read::GzDecoder::new(fs::File::open(path).unwrap());
    gz.read_to_end(&mut bytes).unwrap();
    bytes
}

/// Lines of NDJSON.
fn objects(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn star(ip: &str) -> Option<String> {
    match ip.parse().ok()? {
        std::net::IpAddr::V4(ip) => Some(ip.to_string()),
        std::net::IpAddr::V6(ip) => Some(match ip.to_ipv4_mapped() {
            Some(ip) => ip.to_string(),
            None => format!("{:x?}", &ip.segments()[..4]),
        }),
    }
}

fn is_data_centre(ip: &str) -> bool {
    ["192.0.2.", "198.51.100.", "2001:db8:dc:"]
        .iter()
        .any(|net| ip.starts_with(net))
}

fn needed(episode: &Value) -> u64 {
    let number = |name: &str| episode[name].as_u64();
    let (size, header) = (
        number("size_bytes").unwrap(),
        number("header_bytes").unwrap(),
    );
    let duration = number("duration_secs").unwrap();
    match number("bit_rate") {
        _ if duration < 60 => size,
        Some(rate) => size.min(header + rate * 60 / 8),
        None if episode["vbr"] == true => {
            size.min(header + (60 * (size - header)).div_ceil(duration))
        }
        None => size,
    }
}

type Key = (String, String, String, String);

/// Counts the logs of a tenant the plain way: parse, filter, mark bytes.
fn recount(dir: &Path) -> Recount {
    let deals = objects(&dir.join("deals.ndjson"));
    let episodes: BTreeMap<&str, &Value> = deals
        .iter()
        .filter(|item| item["type"] == "episode")
        .map(|item| (item["enclosures"][0].as_str().unwrap(), item))
        .collect();
    let mut ids = BTreeSet::new();
    let mut sent: BTreeMap<Key, Vec<(u64, u64)>> = BTreeMap::new();
    let mut rejected = 0;
    for file in ["cdn.log.gz", "cdn-late.log.gz"] {
        for line in unpacked(&dir.join(file)).split(|&byte| byte == b'\n') {
            if line.is_empty() || line[0] == b'#' {
                continue;
            }
            let text = std::str::from_utf8(line).unwrap_or("");
            let fields: Vec<&str> = text.split('\t').collect();
            let number = |nth: usize| fields[nth].parse::<u64>().ok();
            let readable = fields.len() == 33 && fields[0] != "2026-02-30" && !text.contains('\0');
            let Some(star) = readable.then(|| star(fields[4])).flatten() else {
                rejected += 1;
                continue;
            };
            let Some(bytes) = number(3) else {
                rejected += 1;
                continue;
            };
            ids.insert(fields[14].to_owned());
            let agent = fields[10];
            let Some(episode) = episodes.get(fields[7]) else {
                continue;
            };
            let bot = [
                "Googlebot",
                "AhrefsBot",
                "GuzzleHttp",
                "Python/",
                "HttpClient",
                "Blubrry",
            ];
            let dropped = fields[5] != "GET"
                || !["200", "206"].contains(&fields[8])
                || agent == "-"
                || agent.contains("watchOS")
                || bot.iter().any(|bot| agent.contains(bot))
                || is_data_centre(fields[4])
                || (number(31), number(32)) == (Some(0), Some(1))
                || fields[9].contains("autoplay.example.net");
            if dropped {
                continue;
            }
            let length = number(30).unwrap();
            let body = if bytes >= length { length } else { bytes - 500 };
            let first = number(31).unwrap_or(0);
            let key = (
                star,
                agent.to_owned(),
                episode["episode"].as_str().unwrap().to_owned(),
                fields[0].to_owned(),
            );
            sent.entry(key).or_default().push((first, first + body));
        }
    }
    let mut by_home: BTreeMap<(String, String), Vec<(String, String)>> = BTreeMap::new();
    for ((star, _, name, day), mut ranges) in sent {
        ranges.sort_unstable();
        let (mut union, mut end) = (0, 0);
        for (first, last) in ranges {
            union += last.saturating_sub(first.max(end));
            end = end.max(last);
        }
        let episode = episodes
            .values()
            .find(|e| e["episode"] == name.as_str())
            .unwrap();
        if union >= needed(episode) {
            by_home
                .entry((star, day.clone()))
                .or_default()
                .push((name, day));
        }
    }
    let rules = deals
        .iter()
        .find(|item| item["type"] == "rule_set")
        .unwrap();
    let most = rules["ip_volume_downloads_max"].as_u64().unwrap() as usize;
    let mut downloads = BTreeMap::new();
    for counted in by_home
        .into_values()
        .filter(|counted| counted.len() <= most)
    {
        for key in counted {
            *downloads.entry(key).or_default() += 1;
        }
    }
    Recount {
        downloads,
        rejected,
        requests: ids.len() as i64,
    }
}

#[test]
fn counting_the_logs_gives_the_truth() {
    for seed in [SEED, 7, 8, 20_261_121] {
        let dir = tempfile::tempdir().unwrap();
        run(dir.path(), WorldConfig::demo(seed)).unwrap();
        let text = fs::read_to_string(dir.path().join("truth.json")).unwrap();
        let truth: Truth = serde_json::from_str(&text).unwrap();
        for tenant in tenants() {
            let count = recount(&dir.path().join(&tenant.name));
            let mut wanted: BTreeMap<(String, String), i64> = BTreeMap::new();
            for ((name, _, episode, day), downloads) in &truth.downloads {
                if *name == tenant.name {
                    *wanted.entry((episode.clone(), day.clone())).or_default() += downloads;
                }
            }
            assert_eq!(count.downloads, wanted, "seed {seed}, {}", tenant.name);
            assert_eq!(count.rejected, truth.malformed_lines[&tenant.name]);
            let verdicts = truth.verdicts.iter();
            let verdicts = verdicts.filter(|((name, _), _)| *name == tenant.name);
            assert_eq!(
                count.requests,
                verdicts.map(|(_, count)| count).sum::<i64>()
            );
        }
    }
}

#[test]
fn deals_are_events_but_for_what_the_door_adds() {
    let dir = tempfile::tempdir().unwrap();
    let config = WorldConfig {
        listeners: 20,
        ..WorldConfig::demo(2)
    };
    run(dir.path(), config).unwrap();
    for tenant in tenants() {
        let text = fs::read_to_string(dir.path().join(&tenant.name).join("deals.ndjson")).unwrap();
        let mut revised = 0;
        for line in text.lines() {
            let draft = hostread_schemas::json::read_draft(line.as_bytes());
            let draft = draft.unwrap_or_else(|error| panic!("{error}: {line}"));
            assert!(draft.id.is_some() && draft.time.is_some() && draft.ip.is_none());
            revised += draft.revision;
        }
        assert_eq!(revised, 2);
    }
}

#[test]
fn webhooks_are_signed() {
    use base64::Engine;
    use hmac::{Hmac, KeyInit, Mac};
    let dir = tempfile::tempdir().unwrap();
    let config = WorldConfig {
        listeners: 60,
        ..WorldConfig::demo(2)
    };
    run(dir.path(), config).unwrap();
    let tenant = &tenants()[0];
    let deliveries = objects(&dir.path().join(&tenant.name).join("shopify.ndjson"));
    assert!(deliveries.len() > 20);
    for delivery in deliveries {
        let connections = tenant.connections.iter();
        let connection = connections
            .clone()
            .find(|c| delivery["connection"] == *c.connection);
        let secret = connection.unwrap().secret.as_bytes();
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret).unwrap();
        mac.update(delivery["body"].as_str().unwrap().as_bytes());
        let wanted = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
        assert_eq!(
            delivery["headers"]["X-Shopify-Hmac-Sha256"],
            wanted.as_str()
        );
    }
}
