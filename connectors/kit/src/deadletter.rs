//! Keeps what could not be used: who, why, where, and the raw body encrypted under the tenant's key.
//! Needs: a folder of its own, one writing process.    Promises: `append` returns when the letters are durable; a body can be read
//! with the tenant's key only; nothing is kept longer than `age_ms_max`.
//! Leaves out: telling anybody (metrics are the caller's), sending letters again (`deadletter_retry` says what is needed for it).
//!
//! ```text
//! segment NNNNNNNNNN.dead: one frame a letter = version u8 | header length u32 | header JSON | nonce (12) | AES-256-GCM(body)
//! ```
//! Invariant 1: bytes on disk stay within `bytes_max` plus one segment; the oldest segment goes first and its letters are counted.
//! Invariant 2: header and body belong together: the header is the cipher's associated data.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aes_gcm::aead::{Aead, Generate, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use hostread_disk::{Disk, DiskError, ErrorKind, FrameWriter};
use hostread_schemas::unit::{DAY_MS, ReceivedAtMs};
use serde::{Deserialize, Serialize};

use crate::deadletter_retry::{Resend, Retry, letter_id};
use crate::pseudonym::TenantKey;

/// A longer body is cut before it is encrypted; the largest door that writes letters takes 1 MiB.
const BODY_BYTES_MAX: usize = 1 << 20;
const REASON_BYTES_MAX: usize = 512;
pub(crate) const VERSION: u8 = 1;
pub(crate) const SUFFIX: &str = ".dead";

/// How much is kept, and how long.
#[derive(Clone, Copy, Debug)]
pub struct DeadLetterLimits {
    /// Bytes on disk. Too small: a bad import pushes out yesterday's webhooks. Too large: it takes the room of the log.
    pub bytes_max: u64,
    /// A new segment starts at this size (or after a day); the unit in which old letters go.
    pub segment_bytes: u64,
    /// Letters older than this are removed: raw bodies hold personal data.
    pub age_ms_max: i64,
}

impl Default for DeadLetterLimits {
    fn default() -> Self {
        Self {
            bytes_max: 128 << 20,
            segment_bytes: 4 << 20,
            age_ms_max: 14 * DAY_MS,
        }
    }
}

/// One input that could not be used.
#[derive(Clone, Debug)]
pub struct DeadLetter<'a> {
    /// The tenant's name.
    pub tenant: &'a str,
    /// The source's name within the tenant.
    pub source: &'a str,
    /// Connector that turned it down.
    pub connector: &'a str,
    /// Why, without any personal data.
    pub reason: &'a str,
    /// Where: file and line, delivery id.
    pub position: &'a str,
    /// When a door got it.
    pub received_at: ReceivedAtMs,
    /// The raw bytes.
    pub body: &'a [u8],
    /// How to send it to its door again, if that is possible.
    pub resend: Option<&'a Resend>,
    /// The letter that this was when it was sent again.
    pub retry: Option<&'a Retry>,
}

/// What can be read without the key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) tenant: String,
    pub(crate) source: String,
    pub(crate) connector: String,
    pub(crate) reason: String,
    pub(crate) position: String,
    pub(crate) received_at: ReceivedAtMs,
    pub(crate) body_bytes: u64,
    /// The same input has the same id.
    #[serde(default)]
    pub(crate) id: String,
    /// How often it was sent again before this.
    #[serde(default)]
    pub(crate) tries: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resend: Option<Resend>,
}

/// A failed call.
#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    /// The disk did not do its part, or bytes on it are damaged.
    #[error("could not use the dead letter files")]
    Disk(#[from] DiskError),
    /// No randomness for a nonce.
    #[error("the system gave no random bytes")]
    Randomness,
    /// A whole frame that is no letter.
    #[error("a dead letter in \"{}\" cannot be read: {reason}", path.display())]
    Format {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The body was encrypted under another key, or changed since.
    #[error("the body does not open under this tenant's key")]
    WrongKey,
}

impl DeadLetterError {
    /// Who has to act.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Disk(error) => error.kind(),
            Self::Randomness => ErrorKind::Dependency,
            Self::Format { .. } => ErrorKind::Bug,
            Self::WrongKey => ErrorKind::Input,
        }
    }
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterStats {
    /// Letters kept.
    pub letters: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Letters that the bound in bytes pushed out since the folder was opened.
    pub pushed_out_total: u64,
}

#[derive(Debug)]
struct Segment {
    number: u64,
    bytes: u64,
    letters: u64,
    first_at: i64,
}

#[derive(Debug)]
struct State {
    /// Oldest first; the writer, when there is one, appends to the last.
    segments: VecDeque<Segment>,
    writer: Option<FrameWriter>,
    next_number: u64,
    pushed_out_total: u64,
}

/// The dead letters of one folder. Calls block.
#[derive(Debug)]
pub struct DeadLetters {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    limits: DeadLetterLimits,
    state: Mutex<State>,
}

impl DeadLetters {
    /// Opens or makes the folder; a torn tail is cut.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        limits: DeadLetterLimits,
    ) -> Result<Self, DeadLetterError> {
        disk.create_dir(dir)?;
        let mut segments = VecDeque::new();
        for (number, path) in segment_files(disk.as_ref(), dir)? {
            let mut first_at = None;
            let (writer, found) = FrameWriter::open_with(disk.as_ref(), &path, |_, payload| {
                if first_at.is_none() {
                    first_at = Some(split(payload, &path)?.0.received_at.0);
                }
                Ok::<(), DeadLetterError>(())
            })?;
            match first_at {
                None => disk.remove(&path)?,
                Some(first_at) => segments.push_back(Segment {
                    number,
                    bytes: writer.len(),
                    letters: found.frames,
                    first_at,
                }),
            }
        }
        disk.sync_dir(dir)?;
        let next_number = segments.back().map_or(0, |last: &Segment| last.number + 1);
        Ok(Self {
            disk,
            dir: dir.to_path_buf(),
            limits,
            state: Mutex::new(State {
                segments,
                writer: None,
                next_number,
                pushed_out_total: 0,
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps letters of one tenant, durably.
    pub fn append(
        &self,
        key: &TenantKey,
        letters: &[DeadLetter<'_>],
    ) -> Result<(), DeadLetterError> {
        if letters.is_empty() {
            return Ok(());
        }
        let cipher = cipher(key);
        let frames = letters
            .iter()
            .map(|letter| Ok((letter.received_at.0, seal(&cipher, key, letter)?)))
            .collect::<Result<Vec<_>, DeadLetterError>>()?;
        let mut state = self.state();
        let result = self.append_frames(&mut state, &frames);
        if result.is_err() {
            state.writer = None;
        }
        result
    }

    fn append_frames(
        &self,
        state: &mut State,
        frames: &[(i64, Vec<u8>)],
    ) -> Result<(), DeadLetterError> {
        for (at, frame) in frames {
            self.writer(state, *at)?.append(frame)?;
            let last = state.segments.back_mut().expect("writer() made one");
            last.bytes += frame.len() as u64;
            last.letters += 1;
        }
        if let Some(writer) = state.writer.as_mut() {
            writer.sync()?;
        }
        if let Some((at, _)) = frames.last() {
            self.prune_state(state, ReceivedAtMs(*at))?;
        }
        Ok(())
    }

    /// The last segment's writer; a new one when there is none, it is full or a day long.
    fn writer<'a>(
        &self,
        state: &'a mut State,
        at: i64,
    ) -> Result<&'a mut FrameWriter, DeadLetterError> {
        let full = state.segments.back().is_some_and(|last| {
            last.bytes >= self.limits.segment_bytes || at >= last.first_at.saturating_add(DAY_MS)
        });
        if full && let Some(mut old) = state.writer.take() {
            old.sync()?;
        }
        if state.writer.is_none() {
            let number = state.next_number;
            let path = self.dir.join(format!("{number:010}{SUFFIX}"));
            let writer = FrameWriter::create(self.disk.as_ref(), &path)?;
            state.next_number += 1;
            self.disk.sync_dir(&self.dir)?;
            state.segments.push_back(Segment {
                number,
                bytes: 0,
                letters: 0,
                first_at: at,
            });
            state.writer = Some(writer);
        }
        Ok(state.writer.as_mut().expect("set above"))
    }

    /// Removes what is too old at `now`, or too much. A segment goes when its first letter is too old.
    pub fn prune(&self, now: ReceivedAtMs) -> Result<(), DeadLetterError> {
        self.prune_state(&mut self.state(), now)
    }

    fn prune_state(&self, state: &mut State, now: ReceivedAtMs) -> Result<(), DeadLetterError> {
        let oldest_kept = now.0.saturating_sub(self.limits.age_ms_max);
        let mut bytes: u64 = state.segments.iter().map(|segment| segment.bytes).sum();
        while let Some(first) = state.segments.front() {
            let expired = first.first_at < oldest_kept;
            let last = state.segments.len() == 1;
            if !expired && (bytes <= self.limits.bytes_max || last) {
                break;
            }
            let (number, letters) = (first.number, first.letters);
            bytes -= first.bytes;
            if last {
                state.writer = None;
            }
            self.disk
                .remove(&self.dir.join(format!("{number:010}{SUFFIX}")))?;
            self.disk.sync_dir(&self.dir)?;
            state.segments.pop_front();
            if !expired {
                state.pushed_out_total += letters;
            }
        }
        Ok(())
    }

    /// How much there is.
    pub fn stats(&self) -> DeadLetterStats {
        let state = self.state();
        DeadLetterStats {
            letters: state.segments.iter().map(|segment| segment.letters).sum(),
            bytes: state.segments.iter().map(|segment| segment.bytes).sum(),
            pushed_out_total: state.pushed_out_total,
        }
    }
}

/// Segments by number.
pub(crate) fn segment_files(disk: &dyn Disk, dir: &Path) -> Result<Vec<(u64, PathBuf)>, DiskError> {
    let mut files: Vec<(u64, PathBuf)> = disk
        .list(dir)?
        .iter()
        .filter_map(|name| {
            let number = name.strip_suffix(SUFFIX)?.parse().ok()?;
            Some((number, dir.join(name)))
        })
        .collect();
    files.sort();
    Ok(files)
}

pub(crate) fn cipher(key: &TenantKey) -> Aes256Gcm {
    Aes256Gcm::new(&key.derive("dead letter body").into())
}

fn seal(
    cipher: &Aes256Gcm,
    key: &TenantKey,
    letter: &DeadLetter<'_>,
) -> Result<Vec<u8>, DeadLetterError> {
    let retry = letter.retry.cloned().unwrap_or_else(|| Retry {
        id: letter_id(key, letter),
        tries: 0,
    });
    let header = Header {
        tenant: letter.tenant.to_owned(),
        source: letter.source.to_owned(),
        connector: letter.connector.to_owned(),
        reason: crate::text::cut(letter.reason, REASON_BYTES_MAX).to_owned(),
        position: crate::text::cut(letter.position, REASON_BYTES_MAX).to_owned(),
        received_at: letter.received_at,
        body_bytes: letter.body.len() as u64,
        id: retry.id,
        tries: retry.tries,
        resend: letter.resend.cloned(),
    };
    let header = serde_json::to_vec(&header).expect("strings and integers are JSON");
    let nonce = Nonce::try_generate().map_err(|_| DeadLetterError::Randomness)?;
    let body = letter.body.get(..BODY_BYTES_MAX).unwrap_or(letter.body);
    let sealed = cipher
        .encrypt(
            &nonce,
            Payload {
                msg: body,
                aad: &header,
            },
        )
        .expect("a body of 1 MiB is far below the cipher's limit");
    let mut frame = vec![VERSION];
    frame.extend_from_slice(&(header.len() as u32).to_le_bytes());
    frame.extend_from_slice(&header);
    frame.extend_from_slice(&nonce);
    frame.extend_from_slice(&sealed);
    Ok(frame)
}

/// Header, its bytes, and nonce with cipher text.
pub(crate) fn split<'a>(
    frame: &'a [u8],
    path: &Path,
) -> Result<(Header, &'a [u8], &'a [u8]), DeadLetterError> {
    let broken = |reason| DeadLetterError::Format {
        path: path.to_path_buf(),
        reason,
    };
    let (version, rest) = frame.split_first().ok_or_else(|| broken("it is empty"))?;
    if *version != VERSION {
        return Err(broken("its version is not known"));
    }
    let (len, rest) = rest
        .split_first_chunk::<4>()
        .ok_or_else(|| broken("it is cut short"))?;
    let (header, sealed) = rest
        .split_at_checked(u32::from_le_bytes(*len) as usize)
        .ok_or_else(|| broken("it is cut short"))?;
    let parsed = serde_json::from_slice(header).map_err(|_| broken("its header is no JSON"))?;
    Ok((parsed, header, sealed))
}
