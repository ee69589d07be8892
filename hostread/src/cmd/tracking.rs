//! `hostread doctor tracking`: is a line item tracked? One line a trace, and what mends what is missing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hostread_explain::{Flight, LOOKED_DAYS, Seen, State, Trace, Tracking};
use serde_json::json;

use super::Format;
use super::api_key::ApiKeyArgs;
use super::doctor::{Findings, Found};
use super::events_door::EventsDoor;
use super::explain::no_answer;
use crate::config::Config;
use crate::explain::Explainer;
use crate::report::grouped;
use crate::say;

/// A test order that is not there by then went another way.
const TEST_ORDER_WITHIN: Duration = Duration::from_mins(1);
const TEST_ORDER_LOOK: Duration = Duration::from_millis(500);

/// What to check.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct TrackingArgs {
    /// The line item
    #[arg(long, value_name = "LINE")]
    line: String,
    /// Whose, where several tenants have one of the name
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Send a test order to this store of the brand first, and see it come through; no number has it
    #[arg(long, value_name = "STORE")]
    test_order: Option<String>,
    /// Address of the gateway for the test order [default: gateway.listen of the settings]
    #[arg(long, value_name = "URL")]
    gateway: Option<String>,
    #[command(flatten)]
    api_key: ApiKeyArgs,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Checks and prints; false when something is missing.
pub(super) async fn run(config: &Config, args: TrackingArgs) -> Result<bool> {
    let eye = Eye {
        explainer: Arc::new(Explainer::new(config, None)?),
        config,
        line: args.line.clone(),
        tenant: args.tenant.clone(),
    };
    let mut found = eye.look().await?;
    if let Some(store) = &args.test_order {
        let key = args.api_key.read()?;
        let door = EventsDoor::new(config, args.gateway.as_deref(), key)?;
        let took;
        (found, took) = eye.test_order(&door, store, &found).await?;
        if args.format == Format::Table {
            let took = took.as_secs_f64();
            say!("the test order came through the door, the log and the pipeline in {took:.1} s\n");
        }
    }
    match args.format {
        Format::Json => {
            let mut said = serde_json::to_value(&found)?;
            said["works"] = json!(found.works());
            say!("{said}");
        }
        Format::Table => print(&found),
    }
    Ok(found.works())
}

/// Looks at one line item, as often as asked.
struct Eye<'c> {
    explainer: Arc<Explainer>,
    config: &'c Config,
    line: String,
    tenant: Option<String>,
}

impl Eye<'_> {
    async fn look(&self) -> Result<Tracking> {
        let (explainer, line) = (Arc::clone(&self.explainer), self.line.clone());
        let tenant = self.tenant.clone();
        let looked =
            tokio::task::spawn_blocking(move || explainer.tracking(&line, tenant.as_deref()));
        let mut found = looked.await?.map_err(|why| no_answer(why, self.config))?;
        if found.len() > 1 {
            let of: Vec<&str> = found.iter().map(|one| one.tenant.as_str()).collect();
            bail!(
                "{} have a line item \"{}\"; --tenant says whose",
                of.join(", "),
                self.line
            );
        }
        found
            .pop()
            .with_context(|| format!("there is no line item \"{}\"", self.line))
    }

    /// Sends one and waits for it.
    async fn test_order(
        &self,
        door: &EventsDoor,
        store: &str,
        before: &Tracking,
    ) -> Result<(Tracking, Duration)> {
        if !before.stores.iter().any(|known| known == store) {
            bail!(
                "\"{store}\" is no store of {}; its stores are: {}",
                if before.brand.is_empty() {
                    "the line's brand"
                } else {
                    &before.brand
                },
                before.stores.join(", ")
            );
        }
        // By the system's clock, which may be that of samples.
        let clock = before.as_of.clock;
        let began = Instant::now();
        let name = format!("hostread-test-{}-{}", clock.0, before.as_of.tick.0);
        door.send_one(json!({
            "type": "order",
            "id": name,
            "time": clock,
            "store": store,
            "order_name": name,
            "value": 1_000_000,
            "test": true,
        }))
        .await?;
        while began.elapsed() < TEST_ORDER_WITHIN {
            let now = self.look().await?;
            let tests = now.seen.iter().find(|seen| seen.what == Trace::TestOrders);
            if tests.is_some_and(|seen| seen.name == name) {
                return Ok((now, began.elapsed()));
            }
            tokio::time::sleep(TEST_ORDER_LOOK).await;
        }
        bail!(
            "the door took the test order, and in {} s it did not come to this pipeline: does the API key belong to {}, and does its pipeline run on this folder?",
            TEST_ORDER_WITHIN.as_secs(),
            before.tenant
        )
    }
}

fn print(it: &Tracking) {
    let flight = match it.flight {
        Flight::Ahead => "not begun",
        Flight::Runs => "running",
        Flight::Over => "over",
    };
    let or_none = |text: &str| if text.is_empty() { "none" } else { text }.to_owned();
    say!("Line item {} of {}", it.line, it.tenant);
    say!("  campaign  {}", or_none(&it.campaign));
    say!("  brand     {}", or_none(&it.brand));
    say!("  stores    {}", or_none(&it.stores.join(", ")));
    say!("  counted   {}, by {}", it.kind, it.controlling);
    say!(
        "  flight    {} to {} {}: {flight}",
        it.start,
        it.end,
        it.zone
    );
    say!("  clock     {}", it.as_of.clock);
    say!("");
    let mut findings = Findings::default();
    for seen in &it.seen {
        let what = match seen.what {
            Trace::Ads => "ads",
            Trace::Impressions => "impressions",
            Trace::Visits => "visits",
            Trace::Pixel => "pixel",
            Trace::Orders => "orders",
            Trace::Code => "code",
            Trace::TestOrders => "test orders",
        };
        findings.tell(what, finding(seen));
    }
    if findings.failed {
        say!("\nSomething that the line item needs is missing.");
    } else {
        say!("\nEverything that the line item needs is there.");
    }
}

fn finding(seen: &Seen) -> Found {
    let name = if seen.name.is_empty() {
        String::new()
    } else {
        format!("{}: ", seen.name)
    };
    let Some(last) = seen.last else {
        let how = format!("{name}none in {LOOKED_DAYS} days");
        return match seen.state {
            State::Missing => Found::Fail(how, seen.repair.clone()),
            _ => Found::Note(how, seen.repair.clone()),
        };
    };
    let count = |n: u64| grouped(n.cast_signed());
    let with = seen.with_household.filter(|_| seen.week > 0);
    let with = with.map(|with| format!(", {} of them of a household", count(with)));
    let how = format!(
        "{name}last at {last}; {} in 24 hours, {} in 7 days{}",
        count(seen.day),
        count(seen.week),
        with.unwrap_or_default()
    );
    match seen.state {
        State::Quiet | State::NoHousehold => Found::Warn(how, seen.repair.clone()),
        _ => Found::Fine(how),
    }
}
