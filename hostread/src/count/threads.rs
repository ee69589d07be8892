//! Counts logs with several threads: one reads, each of the others counts blocks of lines.
//!
//! Promises: what comes out does not depend on the number of threads. Leaves out: what a line means.

use std::io::{self, BufRead};

use hostread_connectors::lines::{Block, Blocks, Line, LineAt};

use super::{Counter, Reader, Reading, Said};
use crate::deal::{Dealer, Dealt, deal_out};

/// Malformed lines that are told.
const TOLD_MAX: usize = 5;

/// A log that can be opened.
pub(crate) type Log<'a> = &'a dyn Fn() -> anyhow::Result<Box<dyn BufRead + Send>>;

/// A line that could not be read: number of its log, its own, and why.
pub(crate) type Malformed = (usize, u64, String);

struct Work {
    log: usize,
    reading: Reading,
    block: Block,
}

/// What went wrong while logs were read.
#[derive(Default)]
pub(crate) struct Wrong {
    /// How many lines could not be read.
    pub(crate) malformed: u64,
    /// The first few of them.
    pub(crate) told: Vec<Malformed>,
    /// Logs that are damaged, and how.
    pub(crate) damaged: Vec<(usize, io::Error)>,
}

/// Counts logs into `counter` with `threads`; the others' counters are for [`Counter::finish`].
pub(crate) fn count_logs(
    counter: &mut Counter,
    threads: usize,
    logs: &[Log<'_>],
) -> anyhow::Result<(Vec<Counter>, Wrong)> {
    let mut others: Vec<Counter> = (1..threads).map(|_| counter.fork()).collect();
    let reader = counter.reader.clone();
    let each = |counter: &mut Counter, reading: &mut Reading, line: Line<'_>| match counter
        .count(reading, line)
    {
        Said::Malformed(why) => Some(why),
        Said::Nothing | Said::Dropped(_) | Said::Open(_) => None,
    };
    let counters = others.iter_mut().chain([&mut *counter]);
    let wrong = read_logs(counters, &each, &reader, logs)?;
    Ok((others, wrong))
}

/// Gives each line of logs to one of the workers, who each have a thread. `each` returns why a line is malformed.
pub(crate) fn read_logs<'w, W: Send + 'w>(
    workers: impl Iterator<Item = &'w mut W>,
    each: &(impl Fn(&mut W, &mut Reading, Line<'_>) -> Option<String> + Sync),
    reader: &Reader,
    logs: &[Log<'_>],
) -> anyhow::Result<Wrong> {
    let mut wrong = Wrong::default();
    let damaged = &mut wrong.damaged;
    let deal = |threads: Dealer<Work>| {
        logs.iter().enumerate().try_for_each(|(log, open)| {
            let blocks = Blocks::new(open()?, LineAt::FIRST);
            let damage = read_log(log, blocks, reader, &threads);
            damaged.extend(damage.map(|error| (log, error)));
            anyhow::Ok(())
        })
    };
    let (read, done) = deal_out(
        workers,
        |worker, dealt| work_through(worker, each, dealt),
        deal,
    );
    read?;
    for (malformed, told) in done {
        wrong.malformed += malformed;
        wrong.told.extend(told);
    }
    wrong.told.sort();
    wrong.told.truncate(TOLD_MAX);
    Ok(wrong)
}

/// Deals out a log's blocks; what ends it before its end is returned.
fn read_log(
    log: usize,
    mut blocks: Blocks<impl BufRead>,
    reader: &Reader,
    threads: &Dealer<Work>,
) -> Option<io::Error> {
    let mut reading = Reading::new();
    loop {
        let block = match blocks.next() {
            Ok(Some(block)) => block,
            Ok(None) => return None,
            // The lines before the damage count.
            Err(error) => return Some(error),
        };
        let before = reading.clone();
        reading.learn(&block, reader);
        let work = Work {
            log,
            reading: before,
            block,
        };
        if !threads.put(work) {
            return None;
        }
    }
}

/// Works through blocks. Returns how many lines were malformed, and the first of them.
fn work_through<W>(
    worker: &mut W,
    each: &impl Fn(&mut W, &mut Reading, Line<'_>) -> Option<String>,
    dealt: Dealt<Work>,
) -> (u64, Vec<Malformed>) {
    let (mut malformed, mut told) = (0, Vec::new());
    for Work {
        log,
        mut reading,
        block,
    } in dealt
    {
        for (at, line) in block.lines() {
            if let Some(why) = each(worker, &mut reading, line) {
                malformed += 1;
                if told.len() < TOLD_MAX {
                    told.push((log, at.number, why));
                }
            }
        }
    }
    (malformed, told)
}
