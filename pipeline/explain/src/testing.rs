//! Made-up worlds of one line item, for tests.
#![allow(clippy::unwrap_used, reason = "tests panic")]

use hostread_rules::Horizons;
use hostread_schemas::event::{AdKind, ControllingSource, IpClass};
use hostread_schemas::fact::{
    EpisodeFact, Fact, FactBody, ImpressionFact, LineFact, RequestFact, RetentionClass, SignalFact,
    SignalKind, SlotFact,
};
use hostread_schemas::intern::IdHasher;
use hostread_schemas::unit::{DAY_MS, HOUR_MS};
use hostread_schemas::view::{View, ViewKey, ViewValue};
use hostread_schemas::{
    AgentId, BrandId, CampaignId, Day, EnclosureId, EpisodeId, EventId, EventTimeMs, HouseholdId,
    LineId, ListenerId, NameKind, Names, SlotId, StoreId, TenantId, Tick,
};

use crate::known::{Archive, Known, Live, ReadError};

pub(crate) const TENANT: TenantId = TenantId(1);
pub(crate) const STORE: StoreId = StoreId(30);
/// Noon of a day.
pub(crate) const NOON: EventTimeMs = EventTimeMs(20_000 * DAY_MS + 12 * HOUR_MS);

struct Facts(Vec<Fact>);

impl Live for Facts {
    fn days(&self, class: RetentionClass) -> Vec<Day> {
        let of_class = self.0.iter().filter(|fact| class_of(&fact.body) == class);
        let mut days: Vec<Day> = of_class.map(|fact| fact.time.day()).collect();
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
        for fact in &self.0 {
            let of_day = class == RetentionClass::Reference || fact.time.day() == day;
            if of_day && class_of(&fact.body) == class {
                each(fact.clone());
            }
        }
        Ok(())
    }

    fn find(&self, id: EventId) -> Result<Option<Fact>, ReadError> {
        Ok(self.0.iter().find(|fact| fact.id == id).cloned())
    }
}

fn class_of(body: &FactBody) -> RetentionClass {
    match body {
        FactBody::Request(_) | FactBody::Impression(_) => RetentionClass::Exposure,
        FactBody::Signal(_) => RetentionClass::Conversion,
        _ => RetentionClass::Reference,
    }
}

struct Nothing;

impl Archive for Nothing {
    fn rows(
        &self,
        _view: View,
        _wanted: &dyn Fn(&ViewKey) -> bool,
    ) -> Result<Vec<(ViewKey, Option<ViewValue>)>, ReadError> {
        Ok(Vec::new())
    }

    fn ledgers(
        &self,
        _wanted: &dyn Fn(&ViewKey) -> bool,
    ) -> Result<Vec<(ViewKey, ViewValue)>, ReadError> {
        Ok(Vec::new())
    }
}

/// A world of one line item, told by what happened so many hours before noon.
pub(crate) struct World {
    hasher: IdHasher,
    pub(crate) line: LineFact,
    facts: Vec<Fact>,
}

impl World {
    pub(crate) fn new(change: impl FnOnce(&mut LineFact)) -> Self {
        let hasher = IdHasher::new([7; 16]);
        let mut line = LineFact {
            line: LineId(hasher.name(NameKind::Line, TENANT, "spring")),
            campaign: CampaignId(20),
            kind: AdKind::Inserted,
            controlling: ControllingSource::Impressions,
            goal: 100_000,
            start: Day(NOON.day().0 - 40),
            end: Day(NOON.day().0 + 40),
            zone: "UTC".to_owned(),
            ..LineFact::default()
        };
        change(&mut line);
        let mut world = Self {
            hasher,
            line: line.clone(),
            facts: Vec::new(),
        };
        world.say(1_000, FactBody::Line(line));
        world
    }

    pub(crate) fn say(&mut self, hours_ago: i64, body: FactBody) -> EventId {
        let id = EventId::from(self.facts.len() as u128);
        self.facts.push(Fact {
            tenant: TENANT,
            time: EventTimeMs(NOON.0 - hours_ago * HOUR_MS),
            id,
            body,
        });
        id
    }

    /// A brand with a store.
    pub(crate) fn with_store(mut self) -> Self {
        self.say(1_000, FactBody::Campaign(CampaignId(20), BrandId(10)));
        self.say(1_000, FactBody::Store(STORE, BrandId(10)));
        self
    }

    pub(crate) fn impression(&mut self, hours_ago: i64) {
        let ad = ImpressionFact {
            line: self.line.line,
            // Another one each time: a listener's day counts an ad once.
            listener: ListenerId(1 + self.facts.len() as u64),
            household: HouseholdId(1),
            agent: AgentId(1),
            ..ImpressionFact::default()
        };
        self.say(hours_ago, FactBody::Impression(ad));
    }

    /// A request for all of an episode with an ad of the line.
    pub(crate) fn download(&mut self, hours_ago: i64) -> EventId {
        let (episode, enclosure) = (EpisodeId(50), EnclosureId(51));
        let fact = EpisodeFact {
            episode,
            enclosures: vec![enclosure],
            size_bytes: 100,
            ..EpisodeFact::default()
        };
        let slot = SlotFact {
            slot: SlotId(52),
            episode,
            line: self.line.line,
            first_byte: 10,
            last_byte: 20,
            ..SlotFact::default()
        };
        let request = RequestFact {
            enclosure,
            listener: ListenerId(1 + self.facts.len() as u64),
            household: HouseholdId(1),
            agent: AgentId(1),
            sent_bytes: 100,
            status: 200,
            ..RequestFact::default()
        };
        self.say(900, FactBody::Episode(fact));
        self.say(900, FactBody::Slot(slot));
        self.say(hours_ago, FactBody::Request(request))
    }

    pub(crate) fn signal(
        &mut self,
        hours_ago: i64,
        kind: SignalKind,
        change: impl FnOnce(&mut SignalFact),
    ) {
        let mut signal = SignalFact {
            store: STORE,
            kind,
            household: HouseholdId(5),
            ip_class: IpClass::Residential,
            ..SignalFact::default()
        };
        change(&mut signal);
        self.say(hours_ago, FactBody::Signal(signal));
    }

    /// Asks the world at noon.
    pub(crate) fn ask<T>(&self, question: impl FnOnce(&Known<'_>) -> T) -> T {
        question(&Known {
            live: &Facts(self.facts.clone()),
            archive: &Nothing,
            names: &Names::default(),
            hasher: self.hasher,
            horizons: Horizons::default(),
            tick: Tick(1),
            clock: NOON,
            released: None,
        })
    }
}
