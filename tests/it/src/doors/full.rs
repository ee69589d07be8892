//! The disk under the event log is full, really: batches are refused, single hits wait, and with room everything goes on.
//! Needs: root, for a file system of its own. Without it nothing is tried here; `durable` has a simulated disk.

use std::collections::BTreeSet;
use std::sync::Arc;

use hostread_disk::RealDisk;
use hostread_gateway::GatewayConfig;

use super::bench::{Disks, Doors, IDS, events_of, open_log_in, tenants};
use crate::small_disk::Small;

/// Bytes that are left when it begins to fill up: for no event, for some, for some batches and a part of one.
const LEFT: [usize; 3] = [0, 5_000, 100_000];
const BATCH: usize = 50;
/// More batches than any room that is left takes.
const BATCHES_MAX: usize = 100;

/// Events as one JSON array, and their ids.
fn batch(number: usize) -> (String, Vec<String>) {
    let ids: Vec<String> = (0..BATCH).map(|n| format!("s-{number}-{n}")).collect();
    let show = |id: &String| {
        format!(r#"{{"type":"show","id":"{id}","show":"{id}","time":"2026-11-09T00:00:00Z"}}"#)
    };
    let shows: Vec<String> = ids.iter().map(show).collect();
    (format!("[{}]", shows.join(",")), ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_the_log_refuses_until_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = Small::mount(&dir.path().join("small")) else {
        return;
    };
    let path = dir.path().join("small/log");
    let log = Arc::new(open_log_in(Arc::new(RealDisk), &path).unwrap());
    let (config, disks) = (GatewayConfig::default(), Disks::new(0));
    let doors = Doors::over(log, disks, config, tenants()).await;
    let mut taken = BTreeSet::new();
    let (mut number, mut hits) = (0, 0);
    for left in LEFT {
        disk.fill(left);
        let mut refused = false;
        for _ in 0..BATCHES_MAX {
            number += 1;
            let (text, ids) = batch(number);
            let answer = doors.post("/v1/events", text).await;
            if answer.status != 200 {
                answer.problem(503, "log_away");
                refused = true;
                break;
            }
            taken.extend(ids);
        }
        assert!(refused, "{left} bytes were enough");
        hits += 1;
        let hit = format!("/v1/pixel.gif?k=pk-north&store=s&id={hits}");
        assert_eq!(doors.get(&hit).await.status, 200);
        assert!(doors.gateway.spilled().events > 0, "{left} bytes left");
        disk.empty();
        doors.drained().await;
        number += 1;
        let (text, ids) = batch(number);
        assert_eq!(doors.post("/v1/events", text).await.status, 200);
        taken.extend(ids);
    }
    doors.stop().await;
    // As the next process finds it.
    let log = open_log_in(Arc::new(RealDisk), &path).unwrap();
    let ought = taken
        .iter()
        .map(|id| IDS.event_id("north", "api", id.as_bytes()));
    let ought: BTreeSet<_> = ought.chain((1..=hits).map(hit_id)).collect();
    let found: Vec<_> = events_of(&log)
        .await
        .iter()
        .map(|event| event.meta.id)
        .collect();
    assert_eq!(
        found.len(),
        ought.len(),
        "each once, and nothing that was refused"
    );
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), ought);
}

fn hit_id(number: usize) -> hostread_schemas::EventId {
    IDS.event_id("north", "pixel", number.to_string().as_bytes())
}
