//! Reads a log that another process writes.
//! Promises: records in order and whole.    Leaves out: knowing what is durable: a record may be seen up to one sync early, and a
//! crash of the machine at that moment takes it back. Good for looking (`count`, `dead-letters list`), not for the pipeline.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hostread_disk::{Disk, FrameReader, Tail};

use super::segments::{
    Layout, Scan, Segment, Shared, State, before_gap, missing_header, read_header, sealed_segment,
    segment_numbers, segment_path,
};
use crate::{LogError, Result};

/// How often a listing is repeated when retention removes files under it.
const ATTEMPTS_MAX: u32 = 5;

/// Reads the folder as it is now.
pub(crate) fn look(disk: &dyn Disk, dir: &Path) -> Result<State> {
    let mut attempt = 1;
    loop {
        match look_once(disk, dir) {
            Err(LogError::Disk(error)) if error.is_not_found() && attempt < ATTEMPTS_MAX => {
                attempt += 1;
            }
            other => return other,
        }
    }
}

fn look_once(disk: &dyn Disk, dir: &Path) -> Result<State> {
    let mut numbers = segment_numbers(disk, dir)?;
    numbers.drain(..before_gap(&numbers));
    // The last one may have been made a moment ago and hold no header yet.
    let mut scan = None;
    while let Some(number) = numbers.pop() {
        let mut frames = FrameReader::open(disk, &segment_path(dir, number), Tail::MayBeTorn)?;
        let mut last = Scan::new(number);
        while let Some((offset, payload)) = frames.next_frame()? {
            last.frame(offset, payload)?;
        }
        if last.header.is_some() {
            scan = Some((last, frames.position()));
            break;
        }
    }
    let Some((scan, len)) = scan else {
        let layout = Arc::new(Layout::empty());
        return Ok(State {
            layout,
            segments: VecDeque::new(),
            ends: Vec::new(),
            version: 0,
        });
    };
    let mut segments = VecDeque::new();
    for number in numbers {
        let header =
            read_header(disk, dir, number, Tail::Whole)?.ok_or_else(|| missing_header(number))?;
        segments.push_back(sealed_segment(disk, dir, number, &header, &scan.layout)?);
    }
    let created_ms = scan.header.as_ref().map_or(0, |header| header.created_ms);
    segments.push_back(Segment::new(scan.number, created_ms, scan.starts(), len));
    Ok(State {
        layout: Arc::new(scan.layout),
        segments,
        ends: scan.ends,
        version: 0,
    })
}

/// Takes over what is new. Segments that are known keep their identity, so readers that hold one see it grow.
pub(crate) fn refresh(shared: &Shared) -> Result<()> {
    let fresh = look(shared.disk.as_ref(), &shared.dir)?;
    shared.publish(|state| {
        let mut segments = VecDeque::new();
        for segment in fresh.segments {
            let known = state
                .segments
                .iter()
                .find(|known| known.number == segment.number);
            let Some(known) = known else {
                segments.push_back(segment);
                continue;
            };
            let (sealed, len) = segment.extent();
            known.durable.store(len, Ordering::Release);
            if sealed {
                known.seal();
            }
            segments.push_back(Arc::clone(known));
        }
        for known in &state.segments {
            // Removed by retention while it was read: it had been sealed for long.
            known.sealed.fetch_or(
                !segments.iter().any(|there| there.number == known.number),
                Ordering::AcqRel,
            );
        }
        (state.segments, state.ends, state.layout) = (segments, fresh.ends, fresh.layout);
    });
    Ok(())
}
