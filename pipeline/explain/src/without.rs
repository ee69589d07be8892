//! The live facts as they would be without a cause.

use std::collections::{BTreeMap, BTreeSet};

use hostread_schemas::fact::{Fact, RetentionClass};
use hostread_schemas::{Day, EventId};
use serde::Serialize;

use crate::known::{Live, ReadError};

/// What is thought away.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// One event: a rule set, a catalog or deal fact, settings, or any other.
    Event(EventId),
    /// Everything that came with a file, a delivery or a request.
    Batch(String),
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Event(id) => write!(f, "event {id}"),
            Self::Batch(name) => write!(f, "batch {name}"),
        }
    }
}

/// A cause and what its events are.
#[derive(Clone, Debug)]
pub struct Without {
    /// The cause.
    pub cause: Cause,
    /// What it is, in words.
    pub what: String,
    /// Its events: their facts are not there.
    pub events: BTreeSet<EventId>,
    /// What is live of these events instead: what others say of the same ids.
    pub instead: Vec<Fact>,
}

/// Live facts without a cause.
pub(crate) struct Filtered<'a> {
    live: &'a dyn Live,
    without: &'a Without,
    instead: BTreeMap<(RetentionClass, Day), Vec<&'a Fact>>,
}

impl<'a> Filtered<'a> {
    pub(crate) fn new(live: &'a dyn Live, without: &'a Without) -> Self {
        let mut instead: BTreeMap<(RetentionClass, Day), Vec<&Fact>> = BTreeMap::new();
        for fact in &without.instead {
            let key = (fact.body.class(), fact.time.day());
            instead.entry(key).or_default().push(fact);
        }
        Self {
            live,
            without,
            instead,
        }
    }
}

impl Live for Filtered<'_> {
    fn days(&self, class: RetentionClass) -> Vec<Day> {
        let mut days = self.live.days(class);
        let more = self.instead.keys().filter(|(of, _)| *of == class);
        days.extend(more.map(|(_, day)| *day));
        days.sort_unstable();
        days.dedup();
        days
    }

    fn facts(
        &self,
        class: RetentionClass,
        day: Day,
        each: &mut dyn FnMut(Fact),
    ) -> Result<(), ReadError> {
        self.live.facts(class, day, &mut |fact| {
            if !self.without.events.contains(&fact.id) {
                each(fact);
            }
        })?;
        for ((of, on), facts) in &self.instead {
            let all = class == RetentionClass::Reference;
            if *of == class && (all || *on == day) {
                for fact in facts {
                    each((*fact).clone());
                }
            }
        }
        Ok(())
    }

    fn find(&self, id: EventId) -> Result<Option<Fact>, ReadError> {
        if self.without.events.contains(&id) {
            let mut instead = self.without.instead.iter();
            return Ok(instead.find(|fact| fact.id == id).cloned());
        }
        self.live.find(id)
    }
}
