//! Deals out pieces of work to threads.
//!
//! Promises: every piece goes to one worker; at most `WAITING_MAX` wait in memory; a panic of a thread goes on in the caller.
//! Leaves out: which worker gets what, so that no result may depend on it.

use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Pieces that wait for a thread. Too few: threads wait for the reader. Too many: memory.
const WAITING_MAX: usize = 4;

/// Where pieces are put.
pub(crate) struct Dealer<T>(SyncSender<T>);

impl<T> Dealer<T> {
    /// Waits until there is room. False: no thread is left, because each has ended with an error or panicked.
    pub(crate) fn put(&self, piece: T) -> bool {
        self.0.send(piece).is_ok()
    }
}

/// What one thread gets, as it asks for it.
pub(crate) struct Dealt<T>(Arc<Mutex<Receiver<T>>>);

impl<T> Iterator for Dealt<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let Self(pieces) = self;
        pieces
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv()
            .ok()
    }
}

/// Gives each worker a thread, and each piece that `deal` puts to a worker that is free. Returns what came of both.
pub(crate) fn deal_out<W: Send, T: Send, R: Send, D>(
    workers: impl Iterator<Item = W>,
    work: impl Fn(W, Dealt<T>) -> R + Sync,
    deal: impl FnOnce(Dealer<T>) -> D,
) -> (D, Vec<R>) {
    let (sender, receiver) = sync_channel(WAITING_MAX);
    let receiver = Arc::new(Mutex::new(receiver));
    std::thread::scope(|scope| {
        let working: Vec<_> = workers
            .map(|worker| {
                let (work, dealt) = (&work, Dealt(Arc::clone(&receiver)));
                scope.spawn(move || work(worker, dealt))
            })
            .collect();
        // Should no thread be left, nobody waits for one.
        drop(receiver);
        let dealt = deal(Dealer(sender));
        let join = |thread: std::thread::ScopedJoinHandle<'_, R>| {
            thread.join().unwrap_or_else(|panic| resume_unwind(panic))
        };
        (dealt, working.into_iter().map(join).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_worked_on_once() {
        for threads in [1, 3] {
            let work = |add: u64, dealt: Dealt<u64>| dealt.map(|piece| piece + add).sum::<u64>();
            let (put, sums) = deal_out(std::iter::repeat_n(1, threads), work, |dealer| {
                (0..100).filter(|piece| dealer.put(*piece)).count()
            });
            assert_eq!((put, sums.iter().sum::<u64>()), (100, 4_950 + 100));
            assert_eq!(sums.len(), threads);
        }
    }

    #[test]
    fn nobody_waits_for_threads_that_gave_up() {
        let give_up = |(), mut dealt: Dealt<u64>| dealt.next();
        let (put, taken) = deal_out(std::iter::repeat_n((), 2), give_up, |dealer| {
            (0..1_000).take_while(|piece| dealer.put(*piece)).count()
        });
        assert!(put < 1_000, "{put}");
        assert_eq!(taken.len(), 2);
    }

    #[test]
    fn a_panic_is_the_callers() {
        let result = std::panic::catch_unwind(|| {
            let panics = |(), mut dealt: Dealt<u64>| assert_eq!(dealt.next(), None, "a piece");
            deal_out(std::iter::once(()), panics, |dealer| dealer.put(1))
        });
        assert!(result.is_err());
    }
}
