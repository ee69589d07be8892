//! `hostread probe`: what the file of an episode says about itself, in the shape of a catalog's episode.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use comfy_table::Cell;
use hostread_connectors_kit::audio::{Audio, Bytes, Container, probe};
use hostread_connectors_kit::text::enclosure_path;
use hostread_rules::threshold::needed_bytes;
use hostread_schemas::fact::EpisodeFact;
use reqwest::{StatusCode, Url, header};
use serde::Serialize;

use super::{Format, table};
use crate::say;

/// IAB's minute.
const THRESHOLD_SECS: u32 = 60;
/// One answer of a server may take so long.
const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// A chain of prefixes, and the host's own.
const REDIRECTS_MAX: usize = 20;
/// A server that sends no parts may send a whole file of this size.
const WHOLE_BYTES_MAX: u64 = 256 << 20;

/// What `probe` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ProbeArgs {
    /// An MP3 or M4A file, or its http address
    #[arg(required = true, value_name = "FILE|URL")]
    files: Vec<String>,
    /// Columns for people, or a JSON object a line that can stand in a catalog
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// An episode as a catalog has it.
#[derive(Debug, Serialize)]
struct Episode {
    id: String,
    path: String,
    bit_rate: Option<u32>,
    id3_bytes: u64,
    seconds: u32,
    size_bytes: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    vbr: bool,
    download_threshold_bytes: u64,
    ads: [(); 0],
}

/// Probes and prints.
pub(crate) async fn run(args: ProbeArgs) -> Result<bool> {
    let mut found = Vec::new();
    for file in &args.files {
        let name = file.clone();
        let runtime = tokio::runtime::Handle::current();
        let probed = tokio::task::spawn_blocking(move || one(&name, &runtime)).await?;
        let audio = probed.with_context(|| format!("probing {file}"))?;
        found.push((episode(file, audio), audio));
    }
    match args.format {
        Format::Json => {
            for (episode, _) in &found {
                say!("{}", serde_json::to_string(episode)?);
            }
        }
        Format::Table => say!("{}", columns(&found)),
    }
    Ok(true)
}

fn one(name: &str, runtime: &tokio::runtime::Handle) -> Result<Audio> {
    if name.starts_with("https://") {
        bail!("only http is spoken here: fetch the file, or let a proxy speak https");
    }
    if name.starts_with("http://") {
        let mut remote = Remote::open(name, runtime.clone())?;
        return Ok(probe(&mut remote)?);
    }
    let file = File::open(name)?;
    let size = file.metadata()?.len();
    Ok(probe(&mut Local { file, size })?)
}

fn episode(name: &str, audio: Audio) -> Episode {
    let path = match Url::parse(name) {
        Ok(url) if url.has_host() => enclosure_path(name).unwrap_or_default(),
        _ => format!(
            "/{}",
            Path::new(name)
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
        ),
    };
    let stem = Path::new(&path).file_stem().unwrap_or_default();
    // Whole seconds that were heard in full: a file of 59.9 s is one under a minute.
    let seconds = u32::try_from(audio.duration_ms / 1_000).unwrap_or(u32::MAX);
    let vbr = audio.constant_rate.is_none();
    let fact = EpisodeFact {
        size_bytes: audio.size_bytes,
        header_bytes: audio.header_bytes,
        bit_rate: audio.constant_rate.unwrap_or(0),
        duration_secs: seconds,
        vbr,
        ..EpisodeFact::default()
    };
    Episode {
        id: stem.to_string_lossy().into_owned(),
        path,
        bit_rate: audio.constant_rate,
        id3_bytes: audio.header_bytes,
        seconds,
        size_bytes: audio.size_bytes,
        vbr,
        download_threshold_bytes: needed_bytes(&fact, THRESHOLD_SECS),
        ads: [],
    }
}

fn columns(found: &[(Episode, Audio)]) -> String {
    let mut table = table();
    table.set_header([
        "path",
        "format",
        "size",
        "header",
        "bit rate",
        "length",
        "threshold",
    ]);
    for (episode, audio) in found {
        let rate = match audio.constant_rate {
            Some(rate) => format!("{rate}"),
            None => format!("{} (varies)", audio.mean_rate()),
        };
        let secs = audio.duration_ms / 1_000;
        table.add_row([
            Cell::new(&episode.path),
            Cell::new(match audio.container {
                Container::Mp3 => "MP3",
                Container::M4a => "M4A",
            }),
            Cell::new(audio.size_bytes),
            Cell::new(audio.header_bytes),
            Cell::new(rate),
            Cell::new(format!(
                "{}:{:02}:{:02}",
                secs / 3_600,
                secs / 60 % 60,
                secs % 60
            )),
            Cell::new(episode.download_threshold_bytes),
        ]);
    }
    table.to_string()
}

struct Local {
    file: File,
    size: u64,
}

impl Bytes for Local {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.seek(SeekFrom::Start(at))?;
        let mut done = 0;
        while done < buffer.len() {
            match self.file.read(&mut buffer[done..])? {
                0 => break,
                read => done += read,
            }
        }
        Ok(done)
    }
}

/// A file behind an address, fetched part by part.
struct Remote {
    client: reqwest::Client,
    runtime: tokio::runtime::Handle,
    url: Url,
    size: u64,
    /// All of it, where the server sends no parts.
    whole: Option<Vec<u8>>,
}

impl Remote {
    fn open(address: &str, runtime: tokio::runtime::Handle) -> Result<Self> {
        let url = Url::parse(address).context("the address cannot be read")?;
        let mut client = reqwest::Client::builder()
            .timeout(ANSWER_WAIT)
            .redirect(reqwest::redirect::Policy::limited(REDIRECTS_MAX));
        if matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")) {
            // A company's proxy knows nothing of this machine's own doors.
            client = client.no_proxy();
        }
        let client = client.build()?;
        let first = client.get(url.clone()).header(header::RANGE, "bytes=0-11");
        let answer = runtime.block_on(first.send())?;
        let mut remote = Self {
            client,
            runtime: runtime.clone(),
            url: answer.url().clone(),
            size: 0,
            whole: None,
        };
        match answer.status() {
            StatusCode::PARTIAL_CONTENT => {
                let range = answer.headers().get(header::CONTENT_RANGE);
                let range = range
                    .and_then(|range| range.to_str().ok())
                    .unwrap_or_default();
                let total = range
                    .rsplit_once('/')
                    .and_then(|(_, total)| total.parse().ok());
                remote.size = total.context("the server does not say how large the file is")?;
            }
            StatusCode::OK => {
                let whole = runtime.block_on(whole(answer))?;
                remote.size = whole.len() as u64;
                remote.whole = Some(whole);
            }
            status => bail!("the server answered {status}"),
        }
        Ok(remote)
    }

    async fn part(&self, at: u64, buffer: &mut [u8]) -> Result<usize> {
        let last = at + buffer.len() as u64 - 1;
        let asked = self.client.get(self.url.clone());
        let mut answer = asked
            .header(header::RANGE, format!("bytes={at}-{last}"))
            .send()
            .await?;
        if answer.status() != StatusCode::PARTIAL_CONTENT {
            bail!("the server answered {} to a part", answer.status());
        }
        let mut done = 0;
        while done < buffer.len()
            && let Some(chunk) = answer.chunk().await?
        {
            let taken = chunk.len().min(buffer.len() - done);
            buffer[done..done + taken].copy_from_slice(&chunk[..taken]);
            done += taken;
        }
        Ok(done)
    }
}

async fn whole(mut answer: reqwest::Response) -> Result<Vec<u8>> {
    let mut whole = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        whole.extend_from_slice(&chunk);
        if whole.len() as u64 > WHOLE_BYTES_MAX {
            bail!("the server sends no parts, and the file is over {WHOLE_BYTES_MAX} bytes");
        }
    }
    Ok(whole)
}

impl Bytes for Remote {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(whole) = &self.whole {
            return whole.as_slice().read_at(at, buffer);
        }
        let left = usize::try_from(self.size.saturating_sub(at)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        if wanted == 0 {
            return Ok(0);
        }
        let part = buffer.get_mut(..wanted).unwrap_or_default();
        let read = self.runtime.block_on(self.part(at, part));
        read.map_err(|error| io::Error::other(format!("{error:#}")))
    }
}
