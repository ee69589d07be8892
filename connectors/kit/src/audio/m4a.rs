//! MPEG-4 files: the sound track's tables in `moov`.

use super::{Audio, AudioError, Bytes, Container, TABLES_BYTES_MAX, be32, be64};

/// Boxes of a file, or inside one box.
const BOXES_MAX: usize = 10_000;

pub(super) fn probe(file: &mut dyn Bytes) -> Result<Audio, AudioError> {
    let moov = moov(file)?;
    let size_bytes = file.size();
    let tracks = children(&moov).filter(|(kind, _)| *kind == b"trak");
    let mut sounds = tracks.filter_map(|(_, trak)| {
        let mdia = child(trak, b"mdia")?;
        let is_sound = child(mdia, b"hdlr")?.get(8..12)? == b"soun";
        is_sound.then_some(mdia)
    });
    let sound = sounds
        .next()
        .ok_or(AudioError::Shape("has no sound track"))?;
    let duration_ms = duration_ms(sound).ok_or(AudioError::Shape("does not say how long it is"))?;
    let tables = child(sound, b"minf").and_then(|minf| child(minf, b"stbl"));
    let tables = tables.ok_or(AudioError::Shape("has no tables of its sound"))?;
    let header_bytes =
        first_chunk(tables).ok_or(AudioError::Shape("does not say where its sound is"))?;
    let (audio_bytes, equal) =
        sizes(tables).ok_or(AudioError::Shape("does not say how large its sound is"))?;
    if header_bytes > size_bytes || audio_bytes > size_bytes || duration_ms == 0 {
        return Err(AudioError::Shape("is cut off, or says what cannot be"));
    }
    let mut audio = Audio {
        container: Container::M4a,
        size_bytes,
        header_bytes,
        audio_bytes,
        constant_rate: None,
        duration_ms,
        sampled: false,
    };
    audio.constant_rate = equal
        .then(|| u32::try_from(audio.mean_rate()).ok())
        .flatten();
    Ok(audio)
}

/// The box with the tables, wherever in the file it is.
fn moov(file: &mut dyn Bytes) -> Result<Vec<u8>, AudioError> {
    let mut at = 0;
    for _ in 0..BOXES_MAX {
        let mut head = [0; 16];
        let count = file.read_at(at, &mut head)?;
        let Some((kind, head_bytes, bytes)) = head
            .get(..count)
            .and_then(|head| head_of(head, file.size() - at))
        else {
            break;
        };
        if kind == *b"moov" {
            let body = bytes - head_bytes;
            if body > TABLES_BYTES_MAX {
                return Err(AudioError::Shape("has tables over 64 MiB"));
            }
            // What is there, not what is claimed.
            let there = body.min(file.size().saturating_sub(at + head_bytes));
            let mut moov = vec![0; usize::try_from(there).unwrap_or(0)];
            let count = file.read_at(at + head_bytes, &mut moov)?;
            moov.truncate(count);
            return Ok(moov);
        }
        at = at.saturating_add(bytes);
        if at >= file.size() {
            break;
        }
    }
    Err(AudioError::Shape("has no tables"))
}

/// Kind, bytes of the head, and of all; `left` is up to the end of what it is in.
fn head_of(head: &[u8], left: u64) -> Option<([u8; 4], u64, u64)> {
    let kind = *head.get(4..)?.first_chunk::<4>()?;
    let (head_bytes, bytes) = match be32(head, 0)? {
        0 => (8, left),
        1 => (16, be64(head, 8)?),
        bytes => (8, u64::from(bytes)),
    };
    (bytes >= head_bytes).then_some((kind, head_bytes, bytes))
}

/// The boxes inside a box; one that claims more than there is ends with it.
fn children(mut rest: &[u8]) -> impl Iterator<Item = (&[u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let (_, head_bytes, bytes) = head_of(rest, rest.len() as u64)?;
        let kind = rest.get(4..)?.first_chunk::<4>()?;
        let end = usize::try_from(bytes).unwrap_or(usize::MAX).min(rest.len());
        let body = rest.get(usize::try_from(head_bytes).ok()?..end)?;
        rest = rest.get(end..)?;
        Some((kind, body))
    })
    .take(BOXES_MAX)
}

fn child<'a>(of: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    let mut all = children(of);
    all.find(|(kind, _)| kind.as_slice() == wanted)
        .map(|(_, body)| body)
}

fn duration_ms(mdia: &[u8]) -> Option<u64> {
    let head = child(mdia, b"mdhd")?;
    let (scale, units) = match head.first()? {
        1 => (be32(head, 20)?, be64(head, 24)?),
        _ => (be32(head, 12)?, u64::from(be32(head, 16)?)),
    };
    let ms = (u128::from(units) * 1_000).checked_div(u128::from(scale))?;
    u64::try_from(ms).ok()
}

/// Where the earliest chunk lies.
fn first_chunk(tables: &[u8]) -> Option<u64> {
    if let Some(body) = child(tables, b"stco") {
        let count = usize::try_from(be32(body, 4)?).ok()?;
        let entries = body.get(8..)?.chunks_exact(4).take(count);
        return entries
            .filter_map(|four| be32(four, 0))
            .min()
            .map(u64::from);
    }
    let body = child(tables, b"co64")?;
    let count = usize::try_from(be32(body, 4)?).ok()?;
    let entries = body.get(8..)?.chunks_exact(8).take(count);
    entries.filter_map(|eight| be64(eight, 0)).min()
}

/// Bytes of all samples, and whether they are equal.
fn sizes(tables: &[u8]) -> Option<(u64, bool)> {
    let body = child(tables, b"stsz")?;
    let (each, count) = (be32(body, 4)?, be32(body, 8)?);
    if each > 0 {
        return Some((u64::from(each) * u64::from(count), true));
    }
    let entries = body
        .get(12..)?
        .chunks_exact(4)
        .take(usize::try_from(count).ok()?);
    let mut sizes = entries.filter_map(|four| be32(four, 0));
    let first = sizes.next()?;
    let (sum, equal) = sizes.fold((u64::from(first), true), |(sum, equal), size| {
        (sum + u64::from(size), equal && size == first)
    });
    Some((sum, equal))
}
