//! The client side of the import door: sends a delivery log of any size, a piece at a time, and goes on where it was.
//! Needs: a gateway's address and an API key; a folder for its notes.
//! Promises: memory is bounded by two pieces; after a stop or an error the same call goes on behind the last piece that was
//! answered; sending a file twice changes nothing (the door says so).
//! Leaves out: printing (the caller's `progress`).
//!
//! Pieces are cut at line ends of the unpacked file, so a note's offset means the same for a plain and a packed file.

mod pieces;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hostread_connectors::lines::{Block, Blocks, LineAt};
use hostread_connectors::mapped::Mapping;
use hostread_connectors::unpack::unpack;
use hostread_connectors_kit::signature::sha256_hex;
use hostread_connectors_kit::text::cut;
use hostread_disk::{Disk, DiskError, RealDisk, read_all, replace_file};
use reqwest::{Client, StatusCode, Url};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use self::pieces::{CountedFile, PIECE_BYTES, Pieces, head, skip};
use crate::doors::import::{LOG_FIELDS_HEADER, LOG_MAPPING_HEADER};

const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);
/// Tries of one piece; waits double from `RETRY_FIRST`.
const TRIES_MAX: u32 = 8;
const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_MAX: Duration = Duration::from_secs(15);
const EXAMPLES_MAX: usize = 20;

/// What to send, and where to.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The gateway, such as `http://127.0.0.1:8080`.
    pub gateway: String,
    /// API key of the tenant.
    pub api_key: String,
    /// One of `LOG_FORMATS`.
    pub format: String,
    /// What the lines of the format `mapped` say.
    pub mapping: Option<Arc<Mapping>>,
    /// Name of the feed; the format's name without one.
    pub source: Option<String>,
    /// The log is of a redirect prefix.
    pub prefix: bool,
    /// Ads are stitched in at delivery.
    pub stitched: bool,
    /// Folder of the notes on how far each file got; without one every call starts at the beginning.
    pub notes_dir: Option<PathBuf>,
}

/// A malformed line.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct MalformedLine {
    /// Its number.
    pub line: u64,
    /// Offset of its first byte.
    pub at: u64,
    /// Why, from a closed set.
    pub reason: String,
    /// Why, for people.
    pub message: String,
}

/// How far a file is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Bytes of the (unpacked) file that are in.
    pub offset: u64,
    /// Lines that are in.
    pub lines: u64,
    /// Lines that became events.
    pub accepted: u64,
    /// Lines that could not be read, by reason.
    pub malformed_by_reason: BTreeMap<String, u64>,
    /// The first of them.
    pub malformed: Vec<MalformedLine>,
    /// The newest header line.
    fields: Option<String>,
    /// Bytes of the file as it lies on disk that were read, for a progress bar.
    #[serde(skip)]
    pub file_bytes_read: u64,
    /// Size of the file as it lies on disk.
    #[serde(skip)]
    pub file_bytes: u64,
    /// Lines that an earlier call had sent.
    #[serde(skip)]
    pub resumed_lines: u64,
}

impl Progress {
    /// Lines that could not be read.
    #[must_use]
    pub fn malformed_count(&self) -> u64 {
        self.malformed_by_reason.values().sum()
    }
}

/// Why an upload stopped; what was sent before is in.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The file.
    #[error("could not read \"{}\"", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The notes.
    #[error("could not keep the note of how far the file is")]
    Note(#[source] DiskError),
    /// The address.
    #[error("\"{gateway}\" is not an address such as http://127.0.0.1:8080")]
    Address {
        /// What was given.
        gateway: String,
    },
    /// The gateway cannot be reached.
    #[error("could not reach the gateway")]
    Send(#[source] reqwest::Error),
    /// The gateway says no.
    #[error("the gateway answered {status}: {message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its words, cut to a line.
        message: String,
    },
}

#[derive(Deserialize)]
struct Answer {
    lines: u64,
    accepted: u64,
    malformed_by_reason: BTreeMap<String, u64>,
    malformed: Vec<MalformedLine>,
}

/// Calls the gateway at this address.
pub fn client(gateway: &Url) -> Result<Client, UploadError> {
    let mut client = Client::builder().timeout(REQUEST_TIMEOUT);
    if matches!(
        gateway.host_str(),
        Some("127.0.0.1" | "localhost" | "[::1]")
    ) {
        // A company's proxy knows nothing of this machine's own doors.
        client = client.no_proxy();
    }
    if gateway.scheme() == "http" {
        // A machine without root certificates does as well.
        client = client.tls_certs_only([]);
    }
    client.build().map_err(UploadError::Send)
}

impl Upload {
    /// Sends a file; `progress` is told after every piece.
    pub async fn file(
        &self,
        path: &Path,
        mut progress: impl FnMut(&Progress),
    ) -> Result<Progress, UploadError> {
        let url = self.url()?;
        let client = client(&url)?;
        let (mut pieces, mut done) = {
            let (this, path) = (self.clone(), path.to_path_buf());
            blocking(move || this.open(&path)).await?
        };
        progress(&done);
        loop {
            let (back, piece) = blocking(move || {
                let piece = pieces.blocks.next();
                Ok((pieces, piece))
            })
            .await?;
            pieces = back;
            let Some(piece) = piece.map_err(|source| file_error(path, source))? else {
                break;
            };
            let answer = self
                .send(&client, url.clone(), path, &done, piece.bytes())
                .await?;
            done.learn(piece.bytes(), self.has_head());
            done.add(&piece, answer);
            done.file_bytes_read = pieces.file_bytes_read();
            // A line without an end may be half written: the next call reads it again.
            if piece.is_whole() {
                let (note, kept) = (pieces.note.clone(), done.clone());
                blocking(move || keep(note.as_deref(), &kept)).await?;
            }
            progress(&done);
        }
        Ok(done)
    }

    fn url(&self) -> Result<Url, UploadError> {
        let wrong = || UploadError::Address {
            gateway: self.gateway.clone(),
        };
        let mut url = Url::parse(&self.gateway).map_err(|_| wrong())?;
        url.path_segments_mut()
            .map_err(|()| wrong())?
            .pop_if_empty()
            .extend(["v1", "import", self.format.as_str()]);
        Ok(url)
    }

    fn open(&self, path: &Path) -> Result<(Pieces, Progress), UploadError> {
        let wrong = |source| file_error(path, source);
        let file = File::open(path).map_err(wrong)?;
        let file_bytes = file.metadata().map_err(wrong)?.len();
        let note = match &self.notes_dir {
            None => None,
            Some(dir) => {
                RealDisk.create_dir(dir).map_err(UploadError::Note)?;
                let head = head(unpack(file).map_err(wrong)?.as_mut(), self.has_head());
                Some(dir.join(self.note_name(path, &head)))
            }
        };
        let mut done = note
            .as_deref()
            .map_or_else(|| Ok(Progress::default()), noted)?;
        let open = || {
            let read = Arc::new(AtomicU64::new(0));
            let counted = CountedFile {
                file: File::open(path)?,
                read: Arc::clone(&read),
            };
            Ok((unpack(counted)?, read))
        };
        let (mut reader, mut read) = open().map_err(wrong)?;
        // Damage is met again, and told, where the pieces come to it.
        if skip(reader.as_mut(), done.offset).is_ok_and(|skipped| skipped < done.offset) {
            // The file is shorter than what was sent of it: another one, under the same name.
            done = Progress::default();
            (reader, read) = open().map_err(wrong)?;
        }
        done.resumed_lines = done.lines;
        done.file_bytes = file_bytes;
        done.file_bytes_read = read.load(Ordering::Relaxed);
        let at = LineAt {
            number: done.lines + 1,
            offset: done.offset,
        };
        let pieces = Pieces {
            blocks: Blocks::of_bytes(reader, at, PIECE_BYTES),
            read,
            note,
        };
        Ok((pieces, done))
    }

    /// Whether a file's first line names its columns.
    fn has_head(&self) -> bool {
        self.mapping
            .as_ref()
            .is_some_and(|mapping| mapping.has_head())
    }

    /// One note per gateway, feed and file.
    fn note_name(&self, path: &Path, head: &[u8]) -> String {
        let source = self.source.as_deref().unwrap_or(&self.format);
        let key = sha256_hex(self.api_key.as_bytes());
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut all = [&self.gateway, key.as_str(), &self.format, source, &name]
            .join("\0")
            .into_bytes();
        if let Some(mapping) = &self.mapping {
            all.extend_from_slice(mapping.text().as_bytes());
        }
        all.extend_from_slice(head);
        let hash = sha256_hex(&all);
        format!("{}.json", hash.get(..32).unwrap_or_default())
    }

    async fn send(
        &self,
        client: &Client,
        mut url: Url,
        path: &Path,
        done: &Progress,
        piece: &[u8],
    ) -> Result<Answer, UploadError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("batch", cut(&name, 200));
            query.append_pair("at", &done.offset.to_string());
            query.append_pair("line", &(done.lines + 1).to_string());
            if let Some(source) = &self.source {
                query.append_pair("source", source);
            }
            for (field, set) in [("prefix", self.prefix), ("stitched", self.stitched)] {
                if set {
                    query.append_pair(field, "true");
                }
            }
        }
        let mut wait = RETRY_FIRST;
        for attempt in 1.. {
            let mut request = client
                .post(url.clone())
                .bearer_auth(&self.api_key)
                .body(piece.to_vec());
            if let Some(fields) = &done.fields {
                request = request.header(LOG_FIELDS_HEADER, fields.as_bytes());
            }
            if let Some(mapping) = &self.mapping {
                request = request.header(LOG_MAPPING_HEADER, mapping.text());
            }
            match request.send().await {
                Ok(response) if response.status() == StatusCode::OK => {
                    return response.json().await.map_err(UploadError::Send);
                }
                Ok(response) => {
                    let status = response.status();
                    let passing =
                        status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
                    if !passing || attempt >= TRIES_MAX {
                        let text = response.text().await.unwrap_or_default();
                        let message = cut(text.lines().next().unwrap_or_default(), 300).to_owned();
                        return Err(UploadError::Refused {
                            status: status.as_u16(),
                            message,
                        });
                    }
                }
                Err(error) if attempt >= TRIES_MAX => return Err(UploadError::Send(error)),
                Err(_) => {}
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY_MAX);
        }
        unreachable!("the loop returns at the last try")
    }
}

impl Progress {
    fn add(&mut self, piece: &Block, answer: Answer) {
        self.offset += piece.taken();
        self.lines += answer.lines;
        self.accepted += answer.accepted;
        for (reason, count) in answer.malformed_by_reason {
            *self.malformed_by_reason.entry(reason).or_default() += count;
        }
        let room = EXAMPLES_MAX.saturating_sub(self.malformed.len());
        self.malformed
            .extend(answer.malformed.into_iter().take(room));
    }

    /// Takes note of header lines: the next piece cannot be read without.
    fn learn(&mut self, piece: &[u8], has_head: bool) {
        let first_is_head = has_head && self.fields.is_none();
        let mut lines = piece.split(|byte| *byte == b'\n');
        let head = if first_is_head {
            lines.find(|line| !line.trim_ascii().is_empty())
        } else {
            lines.rfind(|line| line.starts_with(b"#Fields:"))
        };
        if let Some(head) = head {
            let text = std::str::from_utf8(head).ok();
            self.fields = text.map(|line| line.trim_end_matches('\r').to_owned());
        }
    }
}

fn noted(note: &Path) -> Result<Progress, UploadError> {
    if !RealDisk.exists(note).map_err(UploadError::Note)? {
        return Ok(Progress::default());
    }
    let bytes = read_all(&RealDisk, note).map_err(UploadError::Note)?;
    // A note that cannot be read costs a repeat, and a repeat changes nothing.
    Ok(serde_json::from_slice(&bytes).unwrap_or_default())
}

fn keep(note: Option<&Path>, done: &Progress) -> Result<(), UploadError> {
    let Some(note) = note else {
        return Ok(());
    };
    let bytes = serde_json::to_vec(done).unwrap_or_default();
    replace_file(&RealDisk, note, &bytes).map_err(UploadError::Note)
}

fn file_error(path: &Path, source: std::io::Error) -> UploadError {
    UploadError::File {
        path: path.to_path_buf(),
        source,
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, UploadError> + Send + 'static,
) -> Result<T, UploadError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
