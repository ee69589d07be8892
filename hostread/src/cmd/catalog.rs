//! `hostread catalog`: a catalog file that follows podcast feeds, as `count` reads it and as a running system is told of it.

mod list;

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use hostread_connectors::feed::{
    ALTERNATES_MAX, CHAPTERS_BYTES_MAX, FEED_BYTES_MAX, Feed, Others, read, read_chapters,
};
use hostread_connectors::unpack::unpack;
use hostread_connectors_kit::signature::sha256_hex;
use hostread_connectors_kit::text::cut;
use hostread_job::wall_ms;
use hostread_poll::fetch::{self, Version};
use hostread_schemas::EventTimeMs;
use serde_json::Value;
use tokio::runtime::Handle;

use super::api_key::ApiKeyArgs;
use super::events_door::EventsDoor;
use super::probe;
use crate::catalog::{CatalogFile, Episode, FeedState, Merged, events, merge, sent_path};
use crate::config::Config;
use crate::say;

/// Files that are probed at a time. More: a host takes it for an attack; fewer: a catalog of a thousand takes an hour.
const PROBES_AT_ONCE: usize = 4;
/// Probed between two writings of the catalog: a stop loses no more.
const PROBED_BETWEEN: usize = 32;
/// Names of what went wrong that are printed.
const SHOWN_MAX: usize = 20;

/// What to do with a catalog.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum CatalogCommand {
    /// Take a feed into a catalog file: new and changed episodes; nothing that is gone or was known is lost
    Feed(FeedArgs),
    /// Print the episodes of a catalog file, what their addresses are wrapped in, and what is not known of them
    List(list::ListArgs),
    /// Print a catalog file as events, one a line, as POST /v1/events takes them
    Events(EventsArgs),
}

/// Which feed, and where to.
#[derive(Debug, clap::Args)]
pub(crate) struct FeedArgs {
    /// Address of an RSS or Atom feed, or a file with one
    #[arg(value_name = "URL|FILE")]
    feed: String,
    /// The catalog file; it is made when it is not there
    #[arg(long, value_name = "FILE")]
    catalog: PathBuf,
    /// Name of the show in deals and views [default: the feed's title in small letters, at the first time]
    #[arg(long, value_name = "NAME")]
    show: Option<String>,
    /// Read the header of each new or changed audio file: header bytes, bit rate and true length
    #[arg(long)]
    probe: bool,
    /// Ads whose chapter has this text are of this line item, from now on; may be given often
    #[arg(long, value_name = "TEXT=LINE", value_parser = pair)]
    line: Vec<(String, String)>,
    /// Tell a running system what has changed since it was last told
    #[arg(long)]
    send: bool,
    /// Address of the gateway [default: gateway.listen of the settings]
    #[arg(long, value_name = "URL")]
    gateway: Option<String>,
    #[command(flatten)]
    api_key: ApiKeyArgs,
}

/// Which file.
#[derive(Debug, clap::Args)]
pub(crate) struct EventsArgs {
    /// The catalog file
    #[arg(value_name = "FILE")]
    catalog: PathBuf,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=');
    let parts = parts.filter(|(part, line)| !part.trim().is_empty() && !line.trim().is_empty());
    let (part, line) = parts.ok_or("is not TEXT=LINE")?;
    Ok((part.trim().to_owned(), line.trim().to_owned()))
}

/// Does it.
pub(crate) async fn run(config: Result<Config>, command: CatalogCommand) -> Result<bool> {
    match command {
        CatalogCommand::Feed(args) => feed(config, &args).await,
        CatalogCommand::List(args) => list::list(&args),
        CatalogCommand::Events(args) => {
            let file = CatalogFile::read(&args.catalog)?;
            let now = EventTimeMs(wall_ms());
            for event in events(&CatalogFile::default(), &file, now)? {
                say!("{event}");
            }
            Ok(true)
        }
    }
}

async fn feed(config: Result<Config>, args: &FeedArgs) -> Result<bool> {
    let mut file = CatalogFile::read(&args.catalog)?;
    let before = serde_json::to_value(&file)?;
    let known = file.feeds.get(&args.feed).cloned();
    match fetched(&args.feed, known.as_ref()).await? {
        None => say!("{}: not changed", args.feed),
        Some((bytes, version)) => {
            let state = FeedState {
                etag: version.etag,
                last_modified: version.last_modified,
                sha256: sha256_hex(&bytes),
                ..known.unwrap_or_default()
            };
            take(args, &mut file, &bytes, state)?;
        }
    }
    let state = file.feeds.entry(args.feed.clone()).or_default();
    state.lines.extend(args.line.iter().cloned());
    let state = state.clone();
    chapters(&mut file, &state.show).await;
    for episode in file
        .episodes
        .iter_mut()
        .filter(|episode| episode.show == state.show)
    {
        episode.place_ads(&state.lines);
    }
    if args.probe {
        probe_all(args, &state, &mut file).await?;
    }
    for line in unknown(&file, &state.show) {
        say!("{line}");
    }
    if serde_json::to_value(&file)? != before {
        file.write(&args.catalog)?;
    }
    if args.send {
        send(&config?, args, &file).await?;
    }
    Ok(true)
}

/// What counting does not know of the episodes of a show, and what it does then.
fn unknown(file: &CatalogFile, show: &str) -> Vec<String> {
    let (mut sizes, mut rates) = (0, 0);
    for episode in file.episodes.iter().filter(|episode| episode.show == show) {
        let rate = episode.bit_rate.is_some() || episode.vbr;
        sizes += usize::from(!rate && episode.size_bytes == 0);
        rates += usize::from(!rate && episode.size_bytes != 0);
    }
    let mut said = Vec::new();
    if rates > 0 {
        said.push(format!(
            "{rates} episodes have no known bit rate: only whole files make downloads of them"
        ));
    }
    if sizes > 0 {
        said.push(format!(
            "{sizes} episodes have no known size: any byte makes a download of them"
        ));
    }
    said
}

/// The bytes of a feed; nothing when they are those of the last time.
async fn fetched(name: &str, known: Option<&FeedState>) -> Result<Option<(Vec<u8>, Version)>> {
    let (bytes, version) = if probe::is_address(name) {
        let version = known.map(|known| Version {
            etag: known.etag.clone(),
            last_modified: known.last_modified.clone(),
        });
        let url = fetch::address(name)?;
        let answer = fetch::changed(&url, &version.unwrap_or_default(), FEED_BYTES_MAX).await;
        match answer.with_context(|| format!("fetching {name}"))? {
            None => return Ok(None),
            Some(fetched) => (unpacked(&fetched.bytes[..])?, fetched.version),
        }
    } else {
        let file = File::open(name).with_context(|| format!("reading {name}"))?;
        (unpacked(file)?, Version::default())
    };
    let same = known.is_some_and(|known| known.sha256 == sha256_hex(&bytes));
    Ok((!same).then_some((bytes, version)))
}

/// A feed may lie packed.
fn unpacked(reader: impl Read + Send) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut reader = unpack(reader)?.take(FEED_BYTES_MAX + 1);
    reader.read_to_end(&mut bytes)?;
    ensure!(
        bytes.len() as u64 <= FEED_BYTES_MAX,
        "the feed has over {FEED_BYTES_MAX} bytes"
    );
    Ok(bytes)
}

fn take(args: &FeedArgs, file: &mut CatalogFile, bytes: &[u8], mut state: FeedState) -> Result<()> {
    let feed = read(bytes).with_context(|| format!("reading {}", args.feed))?;
    if let Some(show) = &args.show {
        let free = state.show.is_empty() || state.show == *show;
        ensure!(
            free,
            "the show of this feed is {} in the catalog",
            state.show
        );
        state.show.clone_from(show);
    } else if state.show.is_empty() {
        state.show = slug(&feed.title);
        ensure!(
            !state.show.is_empty(),
            "the feed has no title: name the show with --show"
        );
    }
    state.title.clone_from(&feed.title);
    let show = state.show.clone();
    let told = told(&feed);
    let refused: Vec<String> = feed
        .refused
        .iter()
        .map(|item| {
            format!(
                "item {} ({}) {}",
                item.number,
                cut(&item.name, 80),
                item.why
            )
        })
        .collect();
    let merged: Merged = merge(file, &args.feed, state, feed);
    let Merged {
        new,
        changed,
        same,
        refused: others,
        alternates,
        left_out,
    } = &merged;
    say!(
        "{show}: {} episodes new, {} changed, {same} the same",
        new.len(),
        changed.len()
    );
    let others = others
        .iter()
        .map(|(id, why)| format!("{} {why}", cut(id, 80)));
    some("not in the catalog", refused.into_iter().chain(others));
    if *alternates > 0 {
        say!("  {alternates} more addresses of the same audio files");
    }
    let left_out = left_out.iter();
    let left_out = left_out.map(|(id, which)| format!("{}: {}", cut(id, 80), cut(which, 400)));
    some("left out", left_out);
    for line in told {
        say!("  {line}");
    }
    Ok(())
}

/// What an operator should know of a feed.
fn told(feed: &Feed) -> Vec<String> {
    let mut told = Vec::new();
    if feed.items_beyond > 0 {
        told.push(format!("{} more items were not read", feed.items_beyond));
    }
    let Others {
        not_audio,
        not_http,
        beyond,
    } = feed.others;
    if not_audio > 0 {
        told.push(format!(
            "{not_audio} addresses beside the enclosures are left out: they are not said to be audio"
        ));
    }
    if not_http > 0 {
        told.push(format!(
            "{not_http} addresses beside the enclosures are left out: they are not of http or https"
        ));
    }
    if beyond > 0 {
        told.push(format!(
            "{beyond} addresses beside the enclosures were not read: over {ALTERNATES_MAX} of an episode"
        ));
    }
    if let Some(to) = &feed.moved_to {
        told.push(format!("the show asks to be read at {to}"));
    }
    told
}

/// The first of what went wrong, and how much there is.
fn some(what: &str, lines: impl Iterator<Item = String>) {
    let lines: Vec<String> = lines.collect();
    for line in lines.iter().take(SHOWN_MAX) {
        say!("  {what}: {line}");
    }
    if lines.len() > SHOWN_MAX {
        say!("  {what}: {} more", lines.len() - SHOWN_MAX);
    }
}

/// Small letters, digits and lines between words.
fn slug(title: &str) -> String {
    let words = title.split(|letter: char| !letter.is_alphanumeric());
    let words: Vec<String> = words
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    cut(&words.join("-"), 100).to_owned()
}

/// Fetches chapters of a show that were not read yet; the next time tries again what failed.
async fn chapters(file: &mut CatalogFile, show: &str) {
    let mut failed = Vec::new();
    let unread = |episode: &&mut Episode| episode.show == show && !episode.chapters_read;
    for episode in file.episodes.iter_mut().filter(unread) {
        let Some(address) = &episode.chapters else {
            continue;
        };
        let found = async {
            let url = fetch::address(address)?;
            let answer = fetch::changed(&url, &Version::default(), CHAPTERS_BYTES_MAX).await?;
            let bytes = answer.map(|answer| answer.bytes).unwrap_or_default();
            anyhow::Ok(read_chapters(&bytes)?)
        };
        match found.await {
            Ok(chapters) => episode.read_chapters(&chapters),
            Err(error) => failed.push(format!("{}: {error:#}", cut(&episode.id, 80))),
        }
    }
    some("no chapters", failed.into_iter());
}

/// Probes what was not probed, and writes the catalog now and then.
async fn probe_all(args: &FeedArgs, state: &FeedState, file: &mut CatalogFile) -> Result<()> {
    let episodes = file.episodes.iter().enumerate();
    let wanted: Vec<(usize, String)> = episodes
        .filter(|(_, episode)| episode.show == state.show && !episode.probed)
        .map(|(place, episode)| (place, episode.enclosure.clone()))
        .collect();
    let (count, mut failed) = (wanted.len(), Vec::new());
    for some in wanted.chunks(PROBED_BETWEEN) {
        for few in some.chunks(PROBES_AT_ONCE) {
            let probes = few.iter().map(|(place, address)| {
                let (place, address, runtime) = (*place, address.clone(), Handle::current());
                tokio::task::spawn_blocking(move || (place, probe::one(&address, &runtime)))
            });
            let probes: Vec<_> = probes.collect();
            for probe in probes {
                let (place, audio) = probe.await?;
                let Some(episode) = file.episodes.get_mut(place) else {
                    continue;
                };
                match audio {
                    Ok(audio) => {
                        episode.found(&audio);
                        episode.place_ads(&state.lines);
                    }
                    Err(error) => failed.push(format!("{}: {error:#}", cut(&episode.id, 80))),
                }
            }
        }
        file.write(&args.catalog)?;
    }
    if count > 0 {
        say!("  {} of {count} audio files probed", count - failed.len());
    }
    some("not probed", failed.into_iter());
    Ok(())
}

/// Sends what has changed since the last time; then it is known.
async fn send(config: &Config, args: &FeedArgs, file: &CatalogFile) -> Result<()> {
    let sent = sent_path(&args.catalog);
    let known = CatalogFile::read(&sent)?;
    let changed = events(&known, file, EventTimeMs(wall_ms()))?;
    if changed.is_empty() {
        say!("nothing to send");
        return Ok(());
    }
    let door = EventsDoor::new(config, args.gateway.as_deref(), args.api_key.read()?)?;
    let rejected = door.send(&changed).await?;
    say!("{} facts sent", changed.len() - rejected.len());
    some("refused by the door", rejected.iter().map(Value::to_string));
    file.write(&sent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn names_and_pairs() {
        assert_eq!(slug("Daily & Brew: Ärger!"), "daily-brew-ärger");
        assert_eq!(slug("—"), "");
        assert_eq!(
            pair(" Fern = line-7 "),
            Ok(("Fern".to_owned(), "line-7".to_owned()))
        );
        for wrong in ["Fern", "=line-7", "Fern="] {
            assert!(pair(wrong).is_err());
        }
        assert_eq!(sent_path(Path::new("a/c.json")), Path::new("a/c.json.sent"));
    }
}
