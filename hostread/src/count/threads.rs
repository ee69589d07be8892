//! Counts logs with several threads: one reads, each of the others counts blocks of lines.
//!
//! Promises: what comes out does not depend on the number of threads. Leaves out: what a line means.

use std::io::{self, BufRead};
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use hostread_connectors::lines::{Block, Blocks, LineAt};

use super::{Counter, Reading, Said, Settings};

/// Blocks that wait for a thread.
const WAITING_MAX: usize = 4;
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
    /// The first few.
    pub(crate) malformed: Vec<Malformed>,
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
    let (sender, receiver) = sync_channel::<Work>(WAITING_MAX);
    let blocks = Arc::new(Mutex::new(receiver));
    let mut wrong = Wrong::default();
    let settings = counter.settings.clone();
    std::thread::scope(|scope| {
        let counters = others.iter_mut().chain([&mut *counter]);
        let counting: Vec<_> = counters
            .map(|counter| {
                let blocks = Arc::clone(&blocks);
                scope.spawn(move || count_blocks(counter, &blocks))
            })
            .collect();
        // Should no thread be left, nobody waits for one.
        drop(blocks);
        let read = logs.iter().enumerate().try_for_each(|(log, open)| {
            let blocks = Blocks::new(open()?, LineAt::FIRST);
            let damage = read_log(log, blocks, &settings, &sender);
            wrong.damaged.extend(damage.map(|error| (log, error)));
            anyhow::Ok(())
        });
        drop(sender);
        for thread in counting {
            let told = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
            wrong.malformed.extend(told);
        }
        read
    })?;
    wrong.malformed.sort();
    wrong.malformed.truncate(TOLD_MAX);
    Ok((others, wrong))
}

/// Deals out a log's blocks; what ends it before its end is returned.
fn read_log(
    log: usize,
    mut blocks: Blocks<impl BufRead>,
    settings: &Settings,
    threads: &SyncSender<Work>,
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
        reading.learn(&block, settings);
        let work = Work {
            log,
            reading: before,
            block,
        };
        // Nobody takes it only when every thread has panicked, which joining them tells.
        threads.send(work).ok()?;
    }
}

/// Counts blocks until there are no more. Returns the first malformed lines of its own.
fn count_blocks(counter: &mut Counter, blocks: &Mutex<Receiver<Work>>) -> Vec<Malformed> {
    let mut malformed = Vec::new();
    loop {
        let next = blocks.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Work {
            log,
            mut reading,
            block,
        }) = next
        else {
            return malformed;
        };
        for (at, line) in block.lines() {
            if let Said::Malformed(why) = counter.count(&mut reading, line)
                && malformed.len() < TOLD_MAX
            {
                malformed.push((log, at.number, why));
            }
        }
    }
}
