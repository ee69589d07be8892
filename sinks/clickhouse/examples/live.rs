#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]
use async_trait::async_trait;
use hostread_schemas::view::*;
use hostread_schemas::*;
use hostread_sink_clickhouse::*;
use hostread_sink_kit::conformance::{self, Target, samples};
use hostread_sink_kit::*;
use std::time::Instant;

struct Ch(ClickHouseConfig, serde_json::Value);
#[async_trait]
impl Target for Ch {
    type Sink = ClickHouseSink;
    async fn connect(&self) -> ClickHouseSink {
        ClickHouseSink::new(self.0.clone()).unwrap()
    }
    async fn lose_progress(&self, to: Progress) {
        let a = &self.1["clickhouse"];
        let http = reqwest::Client::new();
        for sql in [
            "TRUNCATE TABLE internal.sink_progress".to_owned(),
            format!(
                "INSERT INTO internal.sink_progress (sink, epoch, owner, journal_id, upper) VALUES ('clickhouse', {}, 1, {}, {})",
                to.epoch, to.journal_id, to.upper.0
            ),
        ] {
            let r = http
                .post(a["url"].as_str().unwrap())
                .header(
                    a["gate_header"][0].as_str().unwrap(),
                    a["gate_header"][1].as_str().unwrap(),
                )
                .header("X-ClickHouse-User", a["user"].as_str().unwrap())
                .header("X-ClickHouse-Key", a["password"].as_str().unwrap())
                .body(sql)
                .send()
                .await
                .unwrap();
            assert!(r.status().is_success(), "{}", r.text().await.unwrap());
        }
    }
}
#[tokio::main]
async fn main() {
    let json: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(std::env::args().nth(1).unwrap()).unwrap())
            .unwrap();
    let a = &json["clickhouse"];
    let mut config = ClickHouseConfig::new(
        a["url"].as_str().unwrap(),
        a["user"].as_str().unwrap(),
        a["password"].as_str().unwrap(),
    )
    .header(
        a["gate_header"][0].as_str().unwrap(),
        a["gate_header"][1].as_str().unwrap(),
    );
    config.verdict_days_kept = None;
    let target = Ch(config, json);
    if std::env::args().nth(2).as_deref() == Some("bench") {
        bench(&target).await;
        return;
    }
    let started = Instant::now();
    conformance::run(&target).await;
    println!("conforms in {:?}", started.elapsed());
}
fn cpu() -> f64 {
    let s = std::fs::read_to_string("/proc/self/stat").unwrap();
    let f: Vec<&str> = s.rsplit(") ").next().unwrap().split(' ').collect();
    (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) / 100.0
}
async fn bench(target: &Ch) {
    let mut sink = target.connect().await;
    sink.migrate().await.unwrap();
    sink.clear().await.unwrap();
    sink.open(1).await.unwrap();
    let names = samples::names();
    for n in 1..5000u64 {
        names.insert(
            NameKind::Enclosure,
            n * 7919,
            &format!("/show-{n}/episode-{n}/audio-file-{n}.mp3"),
        );
        names.insert(NameKind::Episode, n * 104729, &format!("episode-guid-{n}"));
    }
    names.insert(NameKind::Tenant, 77, "ten_a");
    let mut tick = 0;
    for (ranges, rows) in [(10u64, 50_000u64), (20, 20_000), (50, 1_000)] {
        let batches: Vec<RangeBatch> = (0..ranges)
            .map(|r| {
                let t = tick + r;
                let mut upserts: Vec<Upsert> = (0..rows)
                    .map(|i| {
                        let n = (t * 100_000 + i).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                        let m = n % 4999 + 1;
                        Upsert {
                            tick: Tick(t),
                            key: ViewKey::Verdicts(VerdictKey {
                                tenant: TenantId(77),
                                day: Day(20_500),
                                request: EventId {
                                    hi: n,
                                    lo: n.rotate_left(31),
                                },
                            }),
                            value: Some(ViewValue::Verdicts(VerdictRow {
                                time: EventTimeMs(20_500 * DAY_MS + (n % 86_400_000) as i64),
                                verdict: Verdict::ALL[(n % 12) as usize],
                                enclosure: EnclosureId(m * 7919),
                                episode: EpisodeId(m * 104729),
                                listener: ListenerId(n.rotate_left(7)),
                                sent_bytes: n % 50_000_000,
                            })),
                        }
                    })
                    .collect();
                upserts.sort_by_key(|u| u.key);
                RangeBatch {
                    lower: Tick(t),
                    upper: Tick(t + 1),
                    upserts,
                    freshness: Some(FreshnessRow {
                        tick: Tick(t),
                        clock: EventTimeMs(0),
                        accepted_at_max_ms: 0,
                        visible_at_ms: 1_795_000_000_000,
                        events: rows,
                    }),
                }
            })
            .collect();
        tick += ranges;
        let (started, c) = (Instant::now(), cpu());
        for b in &batches {
            sink.apply(b, &names).await.unwrap();
        }
        let e = started.elapsed().as_secs_f64();
        println!(
            "{ranges} ranges of {rows} verdicts: {:.0} rows/s wall, {:.0} rows/s of our cpu, {:.1} ms a range",
            (ranges * rows) as f64 / e,
            (ranges * rows) as f64 / (cpu() - c),
            e * 1000.0 / ranges as f64
        );
    }
    println!("parts {}", sink.parts_count().await.unwrap());
}
