//! A file behind an address, of which only the parts are fetched that are read.
//! Promises: at most `READ_BYTES_MAX` bytes and `READ_SECS_MAX` seconds a file; all parts are of one version of it. What redirects
//! count is asked once: the parts are asked where it led to.
//! Leaves out: trying again.

use std::io;
use std::time::{Duration, Instant};

use hostread_connectors_kit::audio::Bytes;
use reqwest::{Client, Response, StatusCode, Url, header};
use tokio::runtime::Handle;

use crate::fetch::{self, FetchError};

/// All parts of a file together; where the server sends no parts, the file.
pub const READ_BYTES_MAX: u64 = 256 << 20;
/// All answers together.
pub const READ_SECS_MAX: u64 = 300;
/// A part is at least so long: headers of audio files are read in small steps.
const PART_BYTES: u64 = 64 << 10;
/// Content types of what hosts answer in place of a file that is gone.
const PAGES: [&str; 5] = [
    "text/html",
    "text/xml",
    "application/json",
    "application/xml",
    "application/xhtml",
];

/// See the module. Its calls block.
#[derive(Debug)]
pub struct Remote {
    client: Client,
    runtime: Handle,
    url: Url,
    size: u64,
    etag: Option<String>,
    read_bytes: u64,
    until: Instant,
    /// Bytes that are there already, each with its place: the start of the file and the last part; or all of it, where the
    /// server sends no parts.
    start: Vec<u8>,
    last: (u64, Vec<u8>),
}

impl Remote {
    /// Asks for the start of the file.
    pub fn open(address: &str, runtime: Handle) -> Result<Self, FetchError> {
        let url = fetch::address(address)?;
        let client = fetch::client(&url)?;
        let until = Instant::now() + Duration::from_secs(READ_SECS_MAX);
        let asked = client.get(url).header(header::RANGE, range(0, PART_BYTES));
        let (url, etag, size, start) = runtime.block_on(async {
            let answer = asked.send().await?;
            let url = answer.url().clone();
            let etag = fetch::text(&answer, header::ETAG).map(str::to_owned);
            if answer.status().is_success() {
                refuse_page(&answer)?;
            }
            let (size, start) = match answer.status() {
                StatusCode::PARTIAL_CONTENT => {
                    let Some((0, Some(size))) = content_range(&answer) else {
                        return Err(FetchError::NoSize);
                    };
                    (Some(size), part(answer, PART_BYTES).await?)
                }
                StatusCode::OK => {
                    let whole = fetch::whole(answer, READ_BYTES_MAX).await?;
                    (None, whole.ok_or(FetchError::NoParts(READ_BYTES_MAX))?)
                }
                status => return Err(FetchError::Status(status)),
            };
            Ok((url, etag, size.unwrap_or(start.len() as u64), start))
        })?;
        Ok(Self {
            client,
            runtime,
            url,
            size,
            etag,
            read_bytes: start.len() as u64,
            until,
            start,
            last: (0, Vec::new()),
        })
    }

    /// How many bytes came over the wire.
    pub const fn read_bytes(&self) -> u64 {
        self.read_bytes
    }

    fn fetch(&mut self, at: u64, count: u64) -> Result<(), FetchError> {
        if self.read_bytes.saturating_add(count) > READ_BYTES_MAX {
            return Err(FetchError::Parts(READ_BYTES_MAX));
        }
        if Instant::now() > self.until {
            return Err(FetchError::Slow(READ_SECS_MAX));
        }
        let asked = self.client.get(self.url.clone());
        let asked = asked.header(header::RANGE, range(at, count));
        let (size, etag) = (self.size, &self.etag);
        let bytes = self.runtime.block_on(async {
            let answer = asked.send().await?;
            match answer.status() {
                StatusCode::PARTIAL_CONTENT => {}
                StatusCode::OK | StatusCode::RANGE_NOT_SATISFIABLE => {
                    return Err(FetchError::Changed);
                }
                status => return Err(FetchError::Status(status)),
            }
            let same_tag = fetch::text(&answer, header::ETAG) == etag.as_deref();
            if !same_tag || content_range(&answer) != Some((at, Some(size))) {
                return Err(FetchError::Changed);
            }
            part(answer, count).await
        })?;
        self.read_bytes += bytes.len() as u64;
        self.last = (at, bytes);
        Ok(())
    }
}

impl Bytes for Remote {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.size.saturating_sub(at)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let mut done = 0;
        while done < wanted {
            let from = at + done as u64;
            let rest = buffer.get_mut(done..wanted).unwrap_or_default();
            let there = behind(0, &self.start, from);
            let there = there.or_else(|| behind(self.last.0, &self.last.1, from));
            if let Some(there) = there {
                let count = there.len().min(rest.len());
                rest.iter_mut()
                    .zip(there)
                    .for_each(|(to, from)| *to = *from);
                done += count;
                continue;
            }
            let count = (rest.len() as u64).max(PART_BYTES).min(self.size - from);
            self.fetch(from, count).map_err(io::Error::other)?;
            if behind(self.last.0, &self.last.1, from).is_none() {
                break;
            }
        }
        Ok(done)
    }

    fn is_far(&self) -> bool {
        self.start.len() as u64 != self.size
    }
}

/// What of these bytes is from a place on.
fn behind(at: u64, bytes: &[u8], from: u64) -> Option<&[u8]> {
    let skip = usize::try_from(from.checked_sub(at)?).ok()?;
    bytes.get(skip..).filter(|rest| !rest.is_empty())
}

fn range(at: u64, count: u64) -> String {
    format!("bytes={at}-{}", at + count - 1)
}

/// First byte and size of the whole, as `bytes 0-11/2085300` says them.
fn content_range(answer: &Response) -> Option<(u64, Option<u64>)> {
    let text = fetch::text(answer, header::CONTENT_RANGE)?;
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.trim().parse().ok()?, size.trim().parse().ok()))
}

/// So many bytes of an answer, or fewer where it ends.
async fn part(mut answer: Response, count: u64) -> Result<Vec<u8>, FetchError> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let mut bytes = Vec::new();
    while bytes.len() < count
        && let Some(chunk) = answer.chunk().await?
    {
        bytes.extend_from_slice(&chunk);
    }
    bytes.truncate(count);
    Ok(bytes)
}

fn refuse_page(answer: &Response) -> Result<(), FetchError> {
    let kind = fetch::text(answer, header::CONTENT_TYPE).unwrap_or_default();
    let kind = kind
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    if PAGES.iter().any(|page| kind.starts_with(page)) {
        return Err(FetchError::Page(kind));
    }
    Ok(())
}
