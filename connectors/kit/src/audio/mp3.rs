//! MPEG audio, layer III: tags, frames, and the frame that describes the others.

use super::{Audio, AudioError, Bytes, Container, be32};

/// Tags in a row at the front.
const TAGS_MAX: usize = 16;
/// Behind tags, and between frames, so much that is no frame is passed over.
const GAP_BYTES_MAX: u64 = 1 << 20;
const WINDOW_BYTES: usize = 256 << 10;
/// Of a file that is far, so many places say whether the rate varies, each by so many bytes: a second and a half at 320 kbit/s.
const SAMPLES: u64 = 8;
const SAMPLE_BYTES: u64 = 64 << 10;
/// The longest frame there is, and the header of the next.
const FRAME_BYTES_MAX: usize = 2_881 + 4;

/// kbit/s by index, version 1 and the others.
const RATES: [[u32; 15]; 2] = [
    [
        0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
    ],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];
const SAMPLE_RATES: [u32; 3] = [44_100, 48_000, 32_000];

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Frame {
    /// 1, 2, or 4 for version 2.5: what sample rates are divided by.
    divisor: u32,
    sample_rate: u32,
    rate: u32,
    bytes: u64,
    /// Between the header and what the first frame may hold instead of sound.
    side_bytes: usize,
}

impl Frame {
    fn read(header: &[u8]) -> Option<Self> {
        let [first, second, third, fourth] = *header.first_chunk::<4>()?;
        if first != 0xFF || second & 0xE6 != 0xE2 {
            return None;
        }
        let divisor = match second >> 3 & 3 {
            3 => 1,
            2 => 2,
            0 => 4,
            _ => return None,
        };
        let rates = RATES.get(usize::from(divisor > 1))?;
        let rate = 1_000
            * rates
                .get(usize::from(third >> 4))
                .filter(|rate| **rate > 0)?;
        let sample_rate = SAMPLE_RATES.get(usize::from(third >> 2 & 3))? / divisor;
        let padding = u32::from(third >> 1 & 1);
        let mono = fourth >> 6 == 3;
        let slots = if divisor == 1 { 144 } else { 72 };
        Some(Self {
            divisor,
            sample_rate,
            rate,
            bytes: u64::from(slots * rate / sample_rate + padding),
            side_bytes: match (divisor == 1, mono) {
                (true, false) => 32,
                (true, true) | (false, false) => 17,
                (false, true) => 9,
            },
        })
    }

    /// Of the same stream.
    fn like(self, other: Self) -> bool {
        (self.divisor, self.sample_rate) == (other.divisor, other.sample_rate)
    }

    fn samples(self) -> u64 {
        if self.divisor == 1 { 1_152 } else { 576 }
    }
}

/// A window that moves over the file.
struct Window<'a> {
    file: &'a mut dyn Bytes,
    at: u64,
    bytes: Vec<u8>,
}

impl<'a> Window<'a> {
    fn new(file: &'a mut dyn Bytes) -> Self {
        Self {
            file,
            at: 0,
            bytes: Vec::new(),
        }
    }

    /// At least `count` bytes from a place on; fewer at the end of the file.
    fn get(&mut self, at: u64, count: usize) -> Result<&[u8], AudioError> {
        let end = self.at + self.bytes.len() as u64;
        let beyond = at.saturating_add(count as u64) > end && end < self.file.size();
        if at < self.at || at > end || beyond {
            let bytes = if self.file.is_far() {
                SAMPLE_BYTES as usize
            } else {
                WINDOW_BYTES
            };
            self.bytes.resize(bytes.max(count), 0);
            let there = self.file.read_at(at, &mut self.bytes)?;
            self.bytes.truncate(there);
            self.at = at;
        }
        let from = usize::try_from(at - self.at).unwrap_or(usize::MAX);
        Ok(self.bytes.get(from..).unwrap_or_default())
    }

    fn frame(&mut self, at: u64) -> Result<Option<Frame>, AudioError> {
        Ok(Frame::read(self.get(at, 4)?))
    }

    /// The first frame (of a stream) from a place on that another one follows, or the end of the sound.
    fn find(
        &mut self,
        from: u64,
        end: u64,
        like: Option<Frame>,
    ) -> Result<Option<(u64, Frame)>, AudioError> {
        for at in from..end.min(from.saturating_add(GAP_BYTES_MAX)) {
            // Also where the next one is: the window never goes back.
            let Some(frame) = Frame::read(self.get(at, FRAME_BYTES_MAX)?) else {
                continue;
            };
            if like.is_some_and(|like| !like.like(frame)) {
                continue;
            }
            let next = at + frame.bytes;
            let follows = self.frame(next)?.is_some_and(|next| next.like(frame));
            if next == end || (next < end && follows) {
                return Ok(Some((at, frame)));
            }
        }
        Ok(None)
    }
}

pub(super) fn probe(file: &mut dyn Bytes) -> Result<Audio, AudioError> {
    let size = file.size();
    let mut window = Window::new(file);
    let tags = tags_end(&mut window, size)?;
    let end = sound_end(&mut window, size)?;
    let (first_at, first) = window.find(tags, end, None)?.ok_or(AudioError::None)?;
    let described = described(window.get(first_at, FRAME_BYTES_MAX)?, first);
    let start = match described {
        Some(_) => first_at + first.bytes,
        None => first_at,
    };
    let whole = described.and_then(|described| described.frames);
    let counted = match (described, whole) {
        (Some(described), Some(frames)) => {
            let next = window.frame(start)?.filter(|next| next.like(first));
            let rate = next.map(|next| next.rate).filter(|_| described.constant);
            Counted {
                frames: u64::from(frames),
                bytes: end.saturating_sub(start),
                rate,
                sampled: false,
            }
        }
        _ => match sampled(&mut window, start, end, first)? {
            Some(counted) => counted,
            None => count(&mut window, start, end, first)?,
        },
    };
    if counted.frames == 0 {
        return Err(AudioError::None);
    }
    let samples = u128::from(counted.frames) * u128::from(first.samples());
    let ms = samples * 1_000 / u128::from(first.sample_rate);
    Ok(Audio {
        container: Container::Mp3,
        size_bytes: size,
        header_bytes: start,
        audio_bytes: end.saturating_sub(start),
        constant_rate: counted.rate,
        duration_ms: u64::try_from(ms).unwrap_or(u64::MAX),
        sampled: counted.sampled,
    })
}

/// Behind the ID3v2 tags at the front.
fn tags_end(window: &mut Window<'_>, size: u64) -> Result<u64, AudioError> {
    let mut at = 0;
    for _ in 0..TAGS_MAX {
        let head = window.get(at, 10)?;
        let [b'I', b'D', b'3', major, minor, flags, length @ ..] = head else {
            break;
        };
        let Some(length) = length.first_chunk::<4>() else {
            break;
        };
        if *major == 0xFF || *minor == 0xFF || length.iter().any(|byte| *byte > 0x7F) {
            break;
        }
        let length = length
            .iter()
            .fold(0, |sum, byte| sum << 7 | u64::from(*byte));
        let footer = if flags & 0x10 == 0 { 0 } else { 10 };
        at = at.saturating_add(10 + length + footer).min(size);
    }
    Ok(at)
}

/// Before the ID3v1 and APE tags at the end.
fn sound_end(window: &mut Window<'_>, size: u64) -> Result<u64, AudioError> {
    let mut end = size;
    if let Some(at) = end.checked_sub(128)
        && window.get(at, 3)?.starts_with(b"TAG")
    {
        end = at;
    }
    if let Some(at) = end.checked_sub(32) {
        let foot = window.get(at, 32)?;
        let little = |at: usize| {
            let four = foot.get(at..).and_then(<[u8]>::first_chunk::<4>);
            four.map_or(0, |four| u32::from_le_bytes(*four))
        };
        if foot.starts_with(b"APETAGEX") {
            let head = if little(20) >> 31 == 1 { 32 } else { 0 };
            end = end.saturating_sub(u64::from(little(12)) + head);
        }
    }
    Ok(end)
}

/// What the first frame says of the others, if that is what it is for.
#[derive(Clone, Copy)]
struct Described {
    constant: bool,
    frames: Option<u32>,
}

fn described(bytes: &[u8], frame: Frame) -> Option<Described> {
    let bytes = bytes.get(..usize::try_from(frame.bytes).ok()?)?;
    let at = 4 + frame.side_bytes;
    let word = bytes.get(at..at + 4)?;
    if matches!(word, b"Xing" | b"Info") {
        let flags = be32(bytes, at + 4)?;
        let frames = (flags & 1 == 1).then(|| be32(bytes, at + 8)).flatten();
        return Some(Described {
            constant: word == b"Info",
            frames: frames.filter(|frames| *frames > 0),
        });
    }
    if bytes.get(36..40)? == b"VBRI" {
        return Some(Described {
            constant: false,
            frames: be32(bytes, 36 + 14).filter(|frames| *frames > 0),
        });
    }
    None
}

struct Counted {
    frames: u64,
    /// Of the frames.
    bytes: u64,
    rate: Option<u32>,
    sampled: bool,
}

/// Of a file that is far: the frames that there are room for, if samples all over it have one rate.
fn sampled(
    window: &mut Window<'_>,
    start: u64,
    end: u64,
    first: Frame,
) -> Result<Option<Counted>, AudioError> {
    let step = end.saturating_sub(start) / SAMPLES;
    if !window.file.is_far() || step < 2 * SAMPLE_BYTES {
        return Ok(None);
    }
    let (mut frames, mut bytes) = (0, 0);
    for sample in 0..SAMPLES {
        let from = start + sample * step;
        // With room for the frame that the last one leads to, so that a sample is one part of the file.
        let to = from + SAMPLE_BYTES - 2 * FRAME_BYTES_MAX as u64;
        let Some((at, _)) = window.find(from, to, Some(first))? else {
            return Ok(None);
        };
        let counted = count(window, at, to, first)?;
        if counted.rate != Some(first.rate) {
            return Ok(None);
        }
        frames += counted.frames;
        bytes += counted.bytes;
    }
    let all = u128::from(end - start) * u128::from(frames) / u128::from(bytes.max(1));
    Ok(Some(Counted {
        frames: u64::try_from(all).unwrap_or(u64::MAX),
        bytes: end - start,
        rate: Some(first.rate),
        sampled: true,
    }))
}

/// Every frame, where none says how many there are.
fn count(
    window: &mut Window<'_>,
    start: u64,
    end: u64,
    first: Frame,
) -> Result<Counted, AudioError> {
    let (mut at, mut frames, mut bytes) = (start, 0, 0);
    let mut rates: Option<(u32, u32)> = None;
    while at < end {
        let Some(frame) = window.frame(at)?.filter(|frame| frame.like(first)) else {
            match window.find(at, end, Some(first))? {
                Some((next, _)) => at = next,
                None => break,
            }
            continue;
        };
        frames += 1;
        bytes += frame.bytes;
        let (least, most) = rates.unwrap_or((frame.rate, frame.rate));
        rates = Some((least.min(frame.rate), most.max(frame.rate)));
        at += frame.bytes;
    }
    let rate = rates.filter(|(least, most)| least == most);
    Ok(Counted {
        frames,
        bytes,
        rate: rate.map(|(rate, _)| rate),
        sampled: false,
    })
}
