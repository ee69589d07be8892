#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]
use async_trait::async_trait;
use hostread_sink_kit::conformance::{self, Target};
use hostread_sink_kit::*;
use hostread_sink_postgres::*;
use sqlx::Connection;
use std::time::Instant;
struct Pg(PostgresConfig);
#[async_trait]
impl Target for Pg {
    type Sink = PostgresSink;
    async fn connect(&self) -> PostgresSink {
        PostgresSink::new(self.0.clone()).unwrap()
    }
    async fn lose_progress(&self, to: Progress) {
        let mut c = sqlx::PgConnection::connect(&self.0.url_sink).await.unwrap();
        sqlx::query("UPDATE serving.sink_progress SET epoch = $1, upper = $2")
            .bind(to.epoch as i64)
            .bind(to.upper.0 as i64)
            .execute(&mut c)
            .await
            .unwrap();
    }
}
#[tokio::main]
async fn main() {
    let json: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(std::env::args().nth(1).unwrap()).unwrap())
            .unwrap();
    let a = &json["postgres"];
    let target = Pg(PostgresConfig::new(
        a["url_owner"].as_str().unwrap(),
        a["url_sink"].as_str().unwrap(),
    ));
    let started = Instant::now();
    conformance::run(&target).await;
    println!("conforms in {:?}", started.elapsed());
    let mut sink = target.connect().await;
    sink.migrate().await.unwrap();
    sink.clear().await.unwrap();
    sink.open(1).await.unwrap();
    let names = conformance::samples::names();
    let started = Instant::now();
    for t in 0..50u64 {
        let steps: Vec<_> = (1..=200)
            .flat_map(|n| VIEWS.iter().map(move |v| (t, *v, n, Some(n + t))))
            .collect();
        sink.apply(&conformance::range(t, t + 1, &steps), &names)
            .await
            .unwrap();
    }
    println!(
        "50 ranges of 1000 rows in 5 views: {:?} each",
        started.elapsed() / 50
    );
    let started = Instant::now();
    let steps: Vec<_> = (1..=200_000)
        .map(|n| (50, hostread_schemas::view::View::DeliveryDaily, n, Some(n)))
        .collect();
    sink.apply(&conformance::range(50, 51, &steps), &names)
        .await
        .unwrap();
    println!("200000 rows {:?}", started.elapsed());
}
