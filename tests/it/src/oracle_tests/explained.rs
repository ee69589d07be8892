//! Every row that readers see can be explained, and what is explained is that row: on the oracle's histories, with days that are
//! sealed and released.

use std::collections::BTreeMap;

use hostread_explain::{
    Archive, Asked, Cause, Explanation, Kind, Known, Live, NotExplained, ReadError, Without,
};
use hostread_job::step::Stepper;
use hostread_rules::Horizons;
use hostread_schemas::event::Model;
use hostread_schemas::fact::{Fact, RetentionClass};
use hostread_schemas::unit::HOUR_MS;
use hostread_schemas::view::{
    DownloadKey, LateOf, NumberKey, View, ViewClass, ViewKey, ViewRow, ViewValue,
};
use hostread_schemas::{Day, EventId, EventTimeMs, NameKind, Names, TenantId, Tick};

use super::drive::HASHER;
use super::world::{Given, History, START};
use crate::oracle::Rows;

/// Rows of a history that are explained, spread over all of them.
const ROWS_MAX: usize = 40;

/// Live facts in memory.
struct Facts(Vec<Fact>);

impl Live for Facts {
    fn days(&self, class: RetentionClass) -> Vec<Day> {
        let of_class = self.0.iter().filter(|fact| fact.body.class() == class);
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
        let all = class == RetentionClass::Reference;
        for fact in &self.0 {
            if fact.body.class() == class && (all || fact.time.day() == day) {
                each(fact.clone());
            }
        }
        Ok(())
    }

    fn find(&self, id: EventId) -> Result<Option<Fact>, ReadError> {
        Ok(self.0.iter().find(|fact| fact.id == id).cloned())
    }
}

/// What is archived, and what readers see of all.
#[derive(Default)]
struct Kept {
    archive: BTreeMap<ViewKey, Option<ViewValue>>,
    visible: Rows,
}

impl Archive for Kept {
    fn rows(
        &self,
        view: View,
        wanted: &dyn Fn(&ViewKey) -> bool,
    ) -> Result<Vec<(ViewKey, Option<ViewValue>)>, ReadError> {
        let of_view = self.archive.iter().filter(|(key, _)| key.view() == view);
        let wanted = of_view.filter(|(key, _)| wanted(key));
        Ok(wanted.map(|(key, value)| (*key, value.clone())).collect())
    }

    fn ledgers(
        &self,
        wanted: &dyn Fn(&ViewKey) -> bool,
    ) -> Result<Vec<(ViewKey, ViewValue)>, ReadError> {
        let wanted = self.visible.iter().filter(|(key, _)| wanted(key));
        Ok(wanted.map(|(key, value)| (*key, value.clone())).collect())
    }
}

/// A history, played.
pub(super) struct Explained {
    facts: Facts,
    kept: Kept,
    names: Names,
    horizons: Horizons,
    tick: Tick,
    clock: EventTimeMs,
    released: Option<hostread_journal::ReleaseRecord>,
}

impl Explained {
    /// Plays a history; explains every row of it.
    pub(super) fn run(history: &History, horizons: Horizons) -> Result<(), String> {
        Self::play(history.workers, &history.given(), horizons)
            .map_err(|error| error.to_string())?
            .all()
    }

    pub(super) fn play(
        workers: usize,
        given: &[Given],
        horizons: Horizons,
    ) -> Result<Self, hostread_job::JobError> {
        let mut stepper = Stepper::new(workers, horizons, HASHER)?;
        stepper.go_to(START)?;
        for given in given {
            match given {
                Given::Event(event) => drop(stepper.offer(event)?),
                Given::Close => stepper.close()?,
                Given::Hours(hours) => {
                    let to = stepper.clock().0 + i64::from(*hours) * HOUR_MS;
                    stepper.go_to(EventTimeMs(to))?;
                }
            }
        }
        stepper.close()?;
        let mut kept = Kept::default();
        let mut tick = Tick(0);
        for stepped in stepper.take_done() {
            tick = stepped.context.tick;
            for change in stepped.withheld {
                match change.key.view().class() {
                    ViewClass::Daily => drop(kept.archive.entry(change.key).or_insert(change.old)),
                    _ => drop(kept.archive.insert(change.key, change.old)),
                }
            }
            for change in stepped.changes {
                match change.new {
                    Some(new) => kept.visible.insert(change.key, new),
                    None => kept.visible.remove(&change.key),
                };
            }
        }
        Ok(Self {
            facts: Facts(stepper.live()?),
            kept,
            names: stepper.names().clone(),
            horizons,
            tick,
            clock: stepper.clock(),
            released: stepper.released(),
        })
    }

    /// Plays a history with and without one of its events: what would be without it is what is without it.
    pub(super) fn without_one(history: &History, horizons: Horizons) -> Result<(), String> {
        let play = |given: &[Given]| {
            let played = Self::play(history.workers, given, horizons);
            played.map_err(|error| error.to_string())
        };
        let given = history.given();
        let ids: Vec<EventId> = given
            .iter()
            .filter_map(|given| match given {
                Given::Event(event) => Some(event.meta.id),
                _ => None,
            })
            .collect();
        let Some(gone) = ids.get(ids.len() * 2 / 3).copied() else {
            return Ok(());
        };
        let all = play(&given)?;
        let less: Vec<Given> = given
            .into_iter()
            .filter(|given| !matches!(given, Given::Event(event) if event.meta.id == gone))
            .collect();
        let less = play(&less)?;
        let without = Without {
            cause: Cause::Event(gone),
            what: String::new(),
            events: [gone].into(),
            instead: Vec::new(),
        };
        all.each(&mut |tenant, kind, id, mut said| {
            hostread_explain::compare(&all.known(), &mut said, &without)
                .map_err(|error| error.to_string())?;
            let instead = match less.explain(tenant, kind, id) {
                Ok(instead) => instead.numbers,
                Err(NotExplained::Unknown { .. }) => Vec::new(),
                Err(error) => return Err(error.to_string()),
            };
            for number in &said.numbers {
                let value = instead.iter().find(|there| there.name == number.name);
                let ought = value.map_or(serde_json::Value::Null, |there| there.is.clone());
                if number.without != Some(ought) {
                    return Err(format!(
                        "{kind:?} {id} without {gone}: {number:?} is {value:?}"
                    ));
                }
            }
            Ok(())
        })
    }

    fn known(&self) -> Known<'_> {
        Known {
            live: &self.facts,
            archive: &self.kept,
            names: &self.names,
            hasher: HASHER,
            horizons: self.horizons,
            tick: self.tick,
            clock: self.clock,
            released: self.released,
        }
    }

    /// The id under which a row is asked for.
    fn id(&self, key: &ViewKey) -> Option<(Kind, String)> {
        let name = |kind, id| self.names.text(kind, id);
        Some(match key {
            ViewKey::Verdicts(key) => (Kind::Request, format!("{}/{}", key.day, key.request)),
            ViewKey::Downloads(key) => {
                let episode = name(NameKind::Episode, key.episode.0);
                let id = format!("{}/{}/{episode}", key.day, key.listener);
                (Kind::Download, id)
            }
            ViewKey::Conversions(key) => (Kind::Conversion, key.conversion.to_string()),
            ViewKey::Pacing(key) => {
                let line = name(NameKind::Line, key.line.0);
                (Kind::Pacing, line.to_string())
            }
            ViewKey::BillingLines(key) => {
                let line = name(NameKind::Line, key.line.0);
                (Kind::BillingLine, format!("{line}/{}", key.period))
            }
            _ => return None,
        })
    }

    fn explain(&self, tenant: TenantId, kind: Kind, id: &str) -> Result<Explanation, NotExplained> {
        let asked = Asked::parse(kind, id).unwrap_or_else(|| panic!("{kind:?} {id}"));
        hostread_explain::explain(&self.known(), &asked, Some(tenant))
    }

    fn all(&self) -> Result<(), String> {
        self.each(&mut |_, _, _, _| Ok(()))
    }

    /// Explains rows, holds them to what readers see, and shows them.
    fn each(
        &self,
        show: &mut dyn FnMut(TenantId, Kind, &str, Explanation) -> Result<(), String>,
    ) -> Result<(), String> {
        let all = self.kept.visible.keys();
        let asked: Vec<_> = all.filter_map(|key| Some((key, self.id(key)?))).collect();
        let step = asked.len() / ROWS_MAX + 1;
        for (key, (kind, id)) in asked.into_iter().step_by(step) {
            let tenant = key.tenant();
            let said = self.explain(tenant, kind, &id);
            let said = said.map_err(|error| format!("{kind:?} {id}: {error}"))?;
            let ought = self.rows_of(key);
            if said.rows != ought {
                return Err(format!("{kind:?} {id}: {:?} is {ought:?}", said.rows));
            }
            adds_up(&said)?;
            show(tenant, kind, &id, said)?;
        }
        Ok(())
    }

    /// Plays a history; of each download it is told what came after the seal of its day. Returns how often.
    pub(super) fn late(history: &History, horizons: Horizons) -> Result<usize, String> {
        let played = Self::play(history.workers, &history.given(), horizons);
        let played = played.map_err(|error| error.to_string())?;
        let mut told = 0;
        for key in played.kept.visible.keys() {
            if let ViewKey::Downloads(of) = key {
                told += played.told_late(key, of)?;
            }
        }
        Ok(told)
    }

    fn told_late(&self, key: &ViewKey, download: &DownloadKey) -> Result<usize, String> {
        let same = |number: &NumberKey| match number {
            NumberKey::DownloadsDaily(of) => {
                let downloads = (download.tenant, download.day, download.window);
                (of.tenant, of.day, of.window) == downloads && of.episode == download.episode
            }
            _ => false,
        };
        let visible = self.kept.visible.iter();
        let ought: Vec<_> = visible
            .filter_map(|(key, value)| match (key, value) {
                (ViewKey::LateAfterSeal(key), ViewValue::LateAfterSeal(row)) => match key.of {
                    LateOf::Number(number, _) => same(&number).then_some((
                        key.tick.0,
                        row.count,
                        Some(row.old),
                        Some(row.new),
                    )),
                    LateOf::Rows(_) | LateOf::Events => {
                        let same = (key.tenant, key.day) == (download.tenant, download.day);
                        same.then_some((key.tick.0, row.count, None, None))
                    }
                },
                _ => None,
            })
            .collect();
        if ought.is_empty() {
            return Ok(0);
        }
        let (kind, id) = self.id(key).ok_or("a download has an id")?;
        let said = self.explain(key.tenant(), kind, &id);
        let said = said.map_err(|error| format!("{id}: {error}"))?;
        let told = said.late.iter();
        let told = told.map(|late| (late.tick, late.count, late.old, late.new));
        let told: Vec<_> = told.collect();
        if said.late_more == 0 && told != ought {
            return Err(format!("late of {id}: {told:?} is {ought:?}"));
        }
        Ok(told.len())
    }

    /// The row as readers see it; of a conversion also its credits.
    fn rows_of(&self, key: &ViewKey) -> Vec<ViewRow> {
        let visible = self.kept.visible.iter();
        let belongs = |there: &ViewKey| match (key, there) {
            (ViewKey::Conversions(key), ViewKey::Credits(there)) => {
                (key.tenant, key.conversion) == (there.tenant, there.conversion)
            }
            _ => key == there,
        };
        visible
            .filter(|(there, _)| belongs(there))
            .map(|(key, value)| ViewRow {
                key: *key,
                value: value.clone(),
            })
            .collect()
    }
}

/// What is said beside the rows leads to the rows.
fn adds_up(said: &Explanation) -> Result<(), String> {
    let json = serde_json::to_value(said).map_err(|error| error.to_string())?;
    let because = &json["because"];
    let sum = |list: &serde_json::Value, of: &dyn Fn(&serde_json::Value) -> i64| -> i64 {
        list.as_array().into_iter().flatten().map(of).sum()
    };
    let int = |value: &serde_json::Value| value.as_i64().unwrap_or_default();
    let wrong = |what: &str| Err(format!("{what} of {json:#}"));
    match said.kind {
        Kind::Request if !because["filters"].is_null() => {
            let filters = because["filters"].as_array().into_iter().flatten();
            let no: Vec<_> = filters
                .filter(|filter| filter["says"] == "said no")
                .collect();
            let verdict = &because["verdict"];
            let right = match no[..] {
                [] => verdict == "counted",
                [filter] => filter["filter"] == *verdict && filter["because"] != "",
                _ => false,
            };
            if !right {
                return wrong("the filters");
            }
        }
        Kind::Download if !because["episode_day"].is_null() => {
            let versions = because["episode_day"]["versions"].as_array();
            let mut made = versions.into_iter().flatten();
            let made = made.find(|version| version["makes_it"] == true);
            let row = json["numbers"].as_array().and_then(|numbers| {
                numbers
                    .iter()
                    .find(|number| number["name"] == "union_bytes")
            });
            let live = json["known_from"] == "events";
            if live && made.map(|made| &made["union_bytes"]) != row.map(|row| &row["is"]) {
                return wrong("the version");
            }
        }
        Kind::Conversion if !because["credits"].is_null() => {
            for credits in because["credits"].as_array().into_iter().flatten() {
                for model in Model::ALL.map(Model::as_str) {
                    for column in ["credit_micros", "money_micros"] {
                        let of_line = |step: &serde_json::Value| {
                            let same = step["line"] == credits["line"];
                            if same { int(&step[column][model]) } else { 0 }
                        };
                        let steps = sum(&because["path"], &of_line);
                        if steps != int(&credits[column][model]) {
                            return wrong("the path");
                        }
                    }
                }
            }
        }
        Kind::Pacing => {
            let days = sum(&because["days"], &|day| int(&day["billable"]));
            if days != int(&because["delivered"]) {
                return wrong("the days");
            }
        }
        Kind::BillingLine => {
            let days = sum(&because["days"], &|day| int(&day["quantity"]));
            let through = int(&because["cost_through_micros"]);
            let cost = through - int(&because["cost_before_micros"]);
            let quantity = int(&because["billed_through"]) - int(&because["billed_before"]);
            let right = days == int(&because["in_month"])
                && cost == int(&because["amount_micros"])
                && quantity == int(&because["quantity"]);
            if !right {
                return wrong("the arithmetic");
            }
        }
        _ => {}
    }
    Ok(())
}
