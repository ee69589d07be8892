//! `hostread probe`: what the file of an episode says about itself, in the shape of a catalog's episode.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, Result};
use comfy_table::Cell;
use hostread_connectors_kit::audio::{Audio, Bytes, Container, probe};
use hostread_connectors_kit::text::enclosure_path;
use hostread_poll::remote::Remote;
use hostread_rules::threshold::needed_bytes;
use hostread_schemas::fact::EpisodeFact;
use serde::Serialize;
use tokio::runtime::Handle;

use super::{Format, table};
use crate::say;

/// IAB's minute.
const THRESHOLD_SECS: u32 = 60;

/// What `probe` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ProbeArgs {
    /// An MP3 or M4A file, or its http or https address
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
    /// Rate and length are those of samples.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    sampled: bool,
    download_threshold_bytes: u64,
    ads: [(); 0],
}

/// Probes and prints.
pub(crate) async fn run(args: ProbeArgs) -> Result<bool> {
    let mut found = Vec::new();
    for file in &args.files {
        let name = file.clone();
        let runtime = Handle::current();
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

/// What one says; blocks.
pub(super) fn one(name: &str, runtime: &Handle) -> Result<Audio> {
    if is_address(name) {
        return Ok(probe(&mut Remote::open(name, runtime.clone())?)?);
    }
    let file = File::open(name)?;
    let size = file.metadata()?.len();
    Ok(probe(&mut Local { file, size })?)
}

/// Whether it is no file of this machine.
pub(super) fn is_address(name: &str) -> bool {
    name.contains("://")
}

fn episode(name: &str, audio: Audio) -> Episode {
    let path = if is_address(name) {
        enclosure_path(name).unwrap_or_default().into_owned()
    } else {
        let file = Path::new(name).file_name().unwrap_or_default();
        format!("/{}", file.to_string_lossy())
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
        sampled: audio.sampled,
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
            Some(rate) if audio.sampled => format!("{rate} (sampled)"),
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
