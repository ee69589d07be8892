//! What became of the requests that passed the filters, for `--explain`.

use std::collections::BTreeMap;

use hostread_rules::Window;
use hostread_schemas::view::Verdict;
use hostread_schemas::{EpisodeId, EventTimeMs, ListenerId};

use super::Place;
use super::homes::Counted;

/// See the module. Those of one place, or under a rolling window of one moment, share a verdict.
pub(crate) enum Verdicts {
    /// Of a listener's day and an episode.
    ByDay(BTreeMap<Place, Verdict>),
    /// Of a listener's moment and an episode.
    ByTime(BTreeMap<(EventTimeMs, ListenerId, EpisodeId), Verdict>),
}

impl Verdicts {
    pub(super) const fn new(window: Window) -> Self {
        match window {
            Window::Calendar => Self::ByDay(BTreeMap::new()),
            Window::FirstTouch | Window::LastTouch => Self::ByTime(BTreeMap::new()),
        }
    }

    pub(super) fn add(&mut self, of: &Counted<'_>) {
        let verdicts = of.counted.verdicts.iter();
        match self {
            Self::ByDay(places) => {
                places
                    .extend(verdicts.map(|one| ((of.day, of.listener, one.episode), one.verdict)));
            }
            Self::ByTime(times) => {
                times.extend(
                    verdicts.map(|one| ((one.time, of.listener, one.episode), one.verdict)),
                );
            }
        }
    }

    /// Adds those of other listeners.
    pub(super) fn join(&mut self, other: Self) {
        match (self, other) {
            (Self::ByDay(all), Self::ByDay(more)) => all.extend(more),
            (Self::ByTime(all), Self::ByTime(more)) => all.extend(more),
            // All are of one window.
            (Self::ByDay(_), Self::ByTime(_)) | (Self::ByTime(_), Self::ByDay(_)) => {}
        }
    }

    /// That of a request.
    pub(crate) fn of(&self, place: Place, time: EventTimeMs) -> Option<Verdict> {
        match self {
            Self::ByDay(places) => places.get(&place).copied(),
            Self::ByTime(times) => times.get(&(time, place.1, place.2)).copied(),
        }
    }
}
