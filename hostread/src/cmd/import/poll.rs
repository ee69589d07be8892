//! `hostread import --poll`: each object of a place is sent once, whenever it comes.
//! Promises: exact after a crash. An object is noted when all of it was answered; one that is sent again is the same events.
//! Leaves out: order. A late object is a new one; the pipeline takes late lines as it takes all.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hostread_connectors_kit::signature::sha256_hex;
use hostread_disk::RealDisk;
use hostread_gateway::upload::Upload;
use hostread_job::wall_ms;
use hostread_poll::seen::Seen;
use hostread_poll::store::{OBJECT_BYTES_MAX, Object, Place};

use super::{said, summary};
use crate::say;

/// A file of a folder is whole when nobody wrote to it for so long; objects of a store appear whole.
const SETTLED_MS: i64 = 5_000;
/// One that fails is tried again after 1, 2, 4, … passes, at most so many.
const PASSES_MAX: u32 = 64;

/// Where objects come to lie, and how often to look.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct PollArgs {
    /// Send each object of a place once, as it comes: s3://BUCKET/FOLDER, gs://…, az://… or file:///FOLDER
    #[arg(long, value_name = "URL", conflicts_with_all = ["files", "again"])]
    pub(super) poll: Option<String>,
    /// Look every so often
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
    /// Look once and end
    #[arg(long)]
    once: bool,
}

/// What failed, and in how many passes it is tried again.
#[derive(Default)]
struct Failed {
    tries: u32,
    passes: u32,
}

/// Looks, and sends, until it is told to end.
pub(super) async fn run(
    args: &PollArgs,
    address: &str,
    upload: &Upload,
    dir: &Path,
) -> Result<bool> {
    let place = Place::open(address, std::env::vars())?;
    let name = own_name(address, upload);
    let seen = dir.join(format!("{name}.seen"));
    let mut seen = tokio::task::spawn_blocking(move || Seen::open(Arc::new(RealDisk), &seen))
        .await?
        .context("opening the list of objects that were sent; does another one poll here?")?;
    let copies = dir.join(name);
    std::fs::create_dir_all(&copies).with_context(|| format!("making {}", copies.display()))?;
    let mut failed: BTreeMap<String, Failed> = BTreeMap::new();
    loop {
        let wrong = tokio::select! {
            pass = pass(&place, upload, &copies, &mut seen, &mut failed) => pass,
            _ = tokio::signal::ctrl_c() => return Ok(true),
        };
        if args.once {
            let wrong = wrong.with_context(|| format!("polling {address}"))?;
            if wrong > 0 {
                bail!("{wrong} objects are not whole; the same command tries them again");
            }
            return Ok(true);
        }
        if let Err(error) = wrong {
            say!("{address}: {error:#}");
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(args.every)) => {}
            _ = tokio::signal::ctrl_c() => return Ok(true),
        }
    }
}

/// Sends what is new; says how many failed.
async fn pass(
    place: &Place,
    upload: &Upload,
    copies: &Path,
    seen: &mut Seen,
    failed: &mut BTreeMap<String, Failed>,
) -> Result<usize> {
    let settled = wall_ms() - if place.is_folder() { SETTLED_MS } else { 0 };
    let mut there = BTreeSet::new();
    let wanted = |object: &Object| {
        there.insert(object.key.clone());
        !seen.has(object) && object.changed_ms <= settled
    };
    let new = place.list(wanted).await?;
    seen.keep(|key| there.contains(key))?;
    failed.retain(|key, _| there.contains(key));
    let mut wrong = 0;
    for object in new {
        if let Some(failed) = failed
            .get_mut(&object.key)
            .filter(|failed| failed.passes > 0)
        {
            failed.passes -= 1;
            wrong += 1;
            continue;
        }
        match one(place, upload, copies, &object).await {
            Ok(()) => {
                seen.note(&object)?;
                failed.remove(&object.key);
            }
            Err(error) => {
                say!("{}: {error:#}", object.key);
                let failed = failed.entry(object.key).or_default();
                failed.passes = (1 << failed.tries.min(6)).min(PASSES_MAX);
                failed.tries += 1;
                wrong += 1;
            }
        }
    }
    Ok(wrong)
}

async fn one(place: &Place, upload: &Upload, copies: &Path, object: &Object) -> Result<()> {
    if object.bytes > OBJECT_BYTES_MAX {
        bail!("has over {OBJECT_BYTES_MAX} bytes");
    }
    // Under its own name, which is that of the batch.
    let copy: PathBuf = copies.join(object.name());
    let began = std::time::Instant::now();
    let sent = async {
        place.fetch(object, &copy).await?;
        anyhow::Ok(upload.file(&copy, |_| {}).await?)
    };
    let sent = sent.await;
    std::fs::remove_file(&copy).ok();
    let done = sent?;
    let rate = done.lines as f64 / began.elapsed().as_secs_f64().max(0.001);
    say!(
        "{}",
        summary(Path::new(&object.key), &done, done.lines, rate)
    );
    said(&done);
    Ok(())
}

/// One list per place, gateway, tenant and feed.
fn own_name(address: &str, upload: &Upload) -> String {
    let source = upload.source.as_deref().unwrap_or(&upload.format);
    let key = sha256_hex(upload.api_key.as_bytes());
    let mapping = upload.mapping.as_ref().map_or("", |mapping| mapping.text());
    let all = [
        address,
        &upload.gateway,
        &key,
        &upload.format,
        source,
        mapping,
    ]
    .join("\0");
    let hash = sha256_hex(all.as_bytes());
    format!("poll-{}", hash.get(..32).unwrap_or_default())
}
