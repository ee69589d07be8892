//! Tells readers that numbers are being restated: beside the sink's task, so that no range waits for it, and at most once a
//! second, so that a change that is seen within that time leaves no word.

use std::sync::Arc;
use std::time::Duration;

use hostread_sink_kit::{RestatingRow, Teller};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::error::in_full;
use crate::restating::Restating;
use crate::status::Status;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long the last word may take when the job stops.
const LAST_WORD_MAX: Duration = Duration::from_secs(2);

/// Somebody at it.
pub(crate) struct Telling {
    running: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Telling {
    pub(crate) fn start(teller: Box<dyn Teller>, status: &Arc<Status>, clock: &Clock) -> Self {
        let (running, is_running) = oneshot::channel();
        let task = tokio::spawn(tell(teller, Arc::clone(status), clock.clone(), is_running));
        Self { running, task }
    }

    /// The sinks have stopped; once more it is told how far they came.
    pub(crate) async fn stop(self) {
        drop(self.running);
        let abort = self.task.abort_handle();
        if tokio::time::timeout(LAST_WORD_MAX, self.task)
            .await
            .is_err()
        {
            abort.abort();
        }
    }
}

async fn tell(
    teller: Box<dyn Teller>,
    status: Arc<Status>,
    clock: Clock,
    mut is_running: oneshot::Receiver<()>,
) {
    let (mut told, mut stops) = (Told::default(), false);
    while !stops {
        stops = tokio::time::timeout(LOOK_EVERY, &mut is_running)
            .await
            .is_ok();
        let Some(row) = told.next(status.restating(), clock.machine_ms()) else {
            continue;
        };
        match teller.tell(&row).await {
            Ok(()) => told.heard(&row),
            Err(error) => {
                metrics::counter!("sink_restating_rows_lost_total").increment(1);
                tracing::debug!(error = %in_full(&error), "readers were not told of a restatement");
            }
        }
    }
}

/// What readers may have heard last, if it is not over.
#[derive(Default)]
struct Told(Option<Restating>);

impl Told {
    /// What to tell, if anything. It may be heard although telling fails: that it is over is told until it is heard for sure.
    fn next(&mut self, now: Option<Restating>, told_at_ms: i64) -> Option<RestatingRow> {
        self.0 = now.or(self.0);
        let it = self.0?;
        Some(RestatingRow {
            tick: it.tick,
            clock: it.clock,
            accepted_at_ms: it.accepted_at_ms,
            told_at_ms,
            stage: now.map_or("", |it| it.stage.name()),
            done: it.done,
            total: it.total,
        })
    }

    fn heard(&mut self, row: &RestatingRow) {
        if row.stage.is_empty() {
            self.0 = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use hostread_schemas::{EventTimeMs, Tick};

    use super::*;
    use crate::restating::Stage;

    #[test]
    fn readers_are_told_until_they_heard_that_it_is_over() {
        let at = |done| {
            Some(Restating {
                tick: Tick(7),
                clock: EventTimeMs(1),
                accepted_at_ms: 2,
                stage: Stage::Computing,
                done,
                total: 10,
            })
        };
        let mut told = Told::default();
        let mut look = |now, is_heard: bool| {
            let row = told.next(now, 3)?;
            if is_heard {
                told.heard(&row);
            }
            Some((row.stage, row.done))
        };
        assert_eq!(look(None, true), None);
        assert_eq!(look(at(4), true), Some(("computing", 4)));
        assert_eq!(look(at(4), true), Some(("computing", 4)), "as of now");
        assert_eq!(look(at(6), false), Some(("computing", 6)));
        assert_eq!(look(None, false), Some(("", 6)));
        assert_eq!(look(None, true), Some(("", 6)));
        assert_eq!(look(None, true), None);
        assert_eq!(look(at(1), false), Some(("computing", 1)));
        assert_eq!(look(None, true), Some(("", 1)), "it may have been heard");
    }
}
