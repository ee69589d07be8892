//! The catalog file: the episodes that `count` judges lines by, and the feeds that they come from.
//! Promises: what a person wrote into the file stays, also keys that nobody here knows. A file is replaced in one step.
//! Leaves out: fetching (the command).
//!
//! ```text
//! feed --read--> items --merge--> CatalogFile --events--> what a running system does not know yet
//!                                      ^ found: what the files of the episodes say
//! ```

mod events;
mod merge;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use hostread_connectors_kit::audio::Audio;
use hostread_disk::{RealDisk, replace_file};
use hostread_schemas::EventTimeMs;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub(crate) use events::events;
pub(crate) use merge::{Merged, merge};

/// Ads that come from chapters; others are the operator's own.
const FROM_CHAPTERS: &str = "chapters";

/// See the module.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct CatalogFile {
    /// By address or file name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) feeds: BTreeMap<String, FeedState>,
    pub(crate) episodes: Vec<Episode>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// What is known of a feed since it was last read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FeedState {
    /// What deals and views call the show.
    pub(crate) show: String,
    #[serde(default)]
    pub(crate) title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) etag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_modified: Option<String>,
    /// Of the whole feed.
    #[serde(default)]
    pub(crate) sha256: String,
    /// Which text in the title of an ad means which line item.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) lines: BTreeMap<String, String>,
}

/// An episode.
#[expect(clippy::struct_excessive_bools, reason = "fields of a file")]
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Episode {
    pub(crate) id: String,
    /// What requests for it are known by.
    pub(crate) path: String,
    /// What they were known by before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) former_paths: Vec<String>,
    /// Other paths of the same file that the feed has named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) alternate_paths: Vec<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) show: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) title: String,
    /// The address as the feed has it, with its prefixes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) enclosure: String,
    pub(crate) size_bytes: u64,
    #[serde(default)]
    pub(crate) id3_bytes: u64,
    pub(crate) bit_rate: Option<u32>,
    pub(crate) seconds: Option<u32>,
    #[serde(default)]
    pub(crate) vbr: bool,
    /// The file said so, not the feed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) probed: bool,
    /// Rate and length are those of samples.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) sampled: bool,
    /// What the feed claims, when it was last read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) claimed_bytes: Option<u64>,
    /// First publication.
    pub(crate) published_at: Option<String>,
    /// Address of its chapters, and whether they were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) chapters: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) chapters_read: bool,
    /// Ads by time, as chapters have them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) marks: Vec<Mark>,
    #[serde(default)]
    pub(crate) ads: Vec<Ad>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// An ad by time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    pub(crate) title: String,
    pub(crate) start_ms: u64,
    /// None: where the episode ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) end_ms: Option<u64>,
}

/// An ad by bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ad {
    pub(crate) kind: String,
    pub(crate) first_byte: u64,
    pub(crate) last_byte: u64,
    /// The line item that it is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    from: String,
}

impl CatalogFile {
    /// Of a file; an empty one where there is none.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let reading = || format!("reading {}", path.display());
        let bytes = match std::fs::read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            bytes => bytes.with_context(reading)?,
        };
        Self::parse(&bytes).with_context(reading)
    }

    /// Of its text.
    pub(crate) fn parse(json: &[u8]) -> Result<Self> {
        serde_json::from_slice(json).context("reading the catalog")
    }

    /// Replaces a file.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        // A name alone lies in the folder that we are in, which has to be named to be synced.
        let path = match path.parent() {
            Some(dir) if dir.as_os_str().is_empty() => Path::new(".").join(path),
            _ => path.to_path_buf(),
        };
        Ok(replace_file(&RealDisk, &path, &text)?)
    }
}

/// Beside a catalog: what of it a running system was told.
pub(crate) fn sent_path(catalog: &Path) -> PathBuf {
    let mut name = catalog.file_name().unwrap_or_default().to_os_string();
    name.push(".sent");
    catalog.with_file_name(name)
}

impl Episode {
    /// Every path that its requests are known by, its own first.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &String> {
        let others = self.former_paths.iter().chain(&self.alternate_paths);
        std::iter::once(&self.path).chain(others)
    }

    /// First publication as a time.
    pub(crate) fn published(&self) -> Result<Option<EventTimeMs>> {
        let Some(text) = &self.published_at else {
            return Ok(None);
        };
        let time = EventTimeMs::from_rfc3339(text).with_context(|| {
            format!(
                "episode {}: published_at is no time such as 2026-11-09T10:00:00Z",
                self.id
            )
        })?;
        Ok(Some(time))
    }

    /// Takes what its file says.
    pub(crate) fn found(&mut self, audio: &Audio) {
        self.size_bytes = audio.size_bytes;
        self.id3_bytes = audio.header_bytes;
        self.bit_rate = audio.constant_rate;
        self.seconds = u32::try_from(audio.duration_ms / 1_000).ok();
        self.vbr = audio.constant_rate.is_none();
        (self.probed, self.sampled) = (true, audio.sampled);
    }

    /// Puts its marks at their bytes, where those are known. `lines` says which text in a title means which line item.
    pub(crate) fn place_ads(&mut self, lines: &BTreeMap<String, String>) {
        self.ads.retain(|ad| ad.from != FROM_CHAPTERS);
        let seconds = u64::from(self.seconds.unwrap_or(0));
        if !self.probed || seconds == 0 {
            return;
        }
        let audio = self.size_bytes.saturating_sub(self.id3_bytes);
        let byte = |ms: u64| {
            let bytes = match self.bit_rate {
                Some(rate) => u128::from(ms) * u128::from(rate) / 8_000,
                // Of a rate that varies, as the threshold is reckoned.
                None => u128::from(ms) * u128::from(audio) / u128::from(seconds * 1_000),
            };
            self.id3_bytes + u64::try_from(bytes).unwrap_or(u64::MAX).min(audio)
        };
        let mut ads = Vec::new();
        for mark in &self.marks {
            let (first_byte, end) = (byte(mark.start_ms), byte(mark.end_ms.unwrap_or(u64::MAX)));
            let lower = mark.title.to_lowercase();
            let mut lines = lines.iter();
            let line = lines.find(|(part, _)| lower.contains(&part.to_lowercase()));
            if end > first_byte {
                ads.push(Ad {
                    kind: mark.title.clone(),
                    first_byte,
                    last_byte: end - 1,
                    line: line.map(|(_, line)| line.clone()),
                    from: FROM_CHAPTERS.to_owned(),
                });
            }
        }
        self.ads.extend(ads);
    }
}

#[cfg(test)]
mod tests;
