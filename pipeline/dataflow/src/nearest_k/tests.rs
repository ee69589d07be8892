//! The operator against its reference: a join of every conversion with every touch, then a reduction.
#![allow(clippy::unwrap_used, reason = "tests panic")]

use hostread_rules::attribution::{credit, with_code_touch};
use hostread_schemas::fact::{FactBody, LineFact, SettingsFact, SignalKind};
use hostread_schemas::view::PathStep;
use hostread_schemas::{BrandId, CodeId, HouseholdId, MoneyMicros, StoreId};
use proptest::prelude::*;

use super::*;

const TENANT: TenantId = TenantId(1);
/// Instants are this far apart: four to a day.
const STEP_SECS: i64 = 6 * 3600;
const LOOKBACK_STEPS_MAX: i64 = 12;

/// Something that changes between two ticks.
#[derive(Clone, Debug)]
enum Step {
    Touch(u64, i64, u64, u64),
    /// So many touches at once, on and around one instant.
    Bulk(u64, i64, u64),
    Sale(u64, i64, u64, u64),
    Shared(u64, i32),
    Line(u64, u64),
    Campaign(u64, u64),
    Lookback(i64),
    /// Something of the above goes.
    Remove(prop::sample::Index),
    Tick,
}

fn step() -> impl Strategy<Value = Step> {
    let at = 0..16_i64;
    prop_oneof![
        12 => (1..3_u64, at.clone(), 1..5_u64, 0..40_u64)
            .prop_map(|(identity, at, line, id)| Step::Touch(identity, at, line, id)),
        1 => (1..3_u64, at.clone(), 200..300_u64)
            .prop_map(|(identity, at, count)| Step::Bulk(identity, at, count)),
        8 => (1..3_u64, at, 1..4_u64, 0..5_u64)
            .prop_map(|(identity, at, store, code)| Step::Sale(identity, at, store, code)),
        1 => (1..3_u64, 0..4).prop_map(|(identity, day)| Step::Shared(identity, day)),
        1 => (1..5_u64, 1..4_u64).prop_map(|(line, campaign)| Step::Line(line, campaign)),
        1 => (1..4_u64, 0..3_u64).prop_map(|(campaign, brand)| Step::Campaign(campaign, brand)),
        1 => (1..16_i64).prop_map(Step::Lookback),
        4 => any::<prop::sample::Index>().prop_map(Step::Remove),
        6 => Just(Step::Tick),
    ]
}

#[derive(Default)]
struct World {
    state: State,
    live: Vec<(IdentityKey, Identified)>,
    deals: Deals,
    updates: Vec<((IdentityKey, Identified), i64)>,
    settings: Vec<(Setting, i64)>,
    standing: BTreeMap<Credited, i64>,
    facts: u64,
}

fn touch(at: i64, line: u64, id: u64) -> Touch {
    let secs = at * STEP_SECS;
    Touch {
        secs,
        // A touch's id covers its line: two lines never share one.
        touch: EventId {
            hi: id % 7,
            lo: id * 8 + line,
        },
        // Within the second, in another order than the ids.
        time: EventTimeMs(secs * 1000 + 999 - i64::try_from(id % 900).unwrap()),
        line: LineId(line),
        show: ShowId(line % 2),
    }
}

fn sale(identity: u64, at: i64, store: u64, code: u64) -> Sale {
    let time = EventTimeMs(at * STEP_SECS * 1000);
    Sale {
        of: Conversion {
            conversion: ConversionId(
                (identity << 16) + (at.unsigned_abs() << 8) + (store << 4) + code,
            ),
            store: StoreId(store),
            kind: SignalKind::Order,
            time,
            household: HouseholdId(identity),
            value: MoneyMicros(10_000_001),
            code: CodeId(code),
            signals: 1,
            ..Conversion::default()
        },
        until: time.day(),
    }
}

impl World {
    fn new() -> Self {
        let mut world = Self::default();
        world.state.lookback_secs_max = LOOKBACK_STEPS_MAX * STEP_SECS;
        for (store, brand) in [(1, 1), (2, 2), (3, 0)] {
            world.deal(FactBody::Store(StoreId(store), BrandId(brand)));
        }
        for (campaign, brand) in [(1, 1), (2, 2)] {
            world.deal(FactBody::Campaign(CampaignId(campaign), BrandId(brand)));
        }
        for (line, campaign) in [(1, 1), (2, 1), (3, 2)] {
            world.line(line, campaign);
        }
        for (code, line) in [(1, 1), (2, 2), (3, 4)] {
            world.deal(FactBody::Code(StoreId(1), CodeId(code), LineId(line)));
        }
        world
    }

    fn deal(&mut self, body: FactBody) {
        self.facts += 1;
        let fact = Fact {
            tenant: TENANT,
            time: EventTimeMs(i64::try_from(self.facts).unwrap()),
            id: EventId::default(),
            body,
        };
        self.deals.apply(&fact, 1, &mut Some(BTreeSet::new()));
        self.settings.push((Setting::Deal(fact), 1));
    }

    fn line(&mut self, line: u64, campaign: u64) {
        self.deal(FactBody::Line(LineFact {
            line: LineId(line),
            campaign: CampaignId(campaign),
            ..LineFact::default()
        }));
    }

    fn insert(&mut self, identity: u64, item: Identified) {
        let item = ((TENANT, identity), item);
        if !self.live.contains(&item) {
            self.live.push(item.clone());
            self.updates.push((item, 1));
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Touch(identity, at, line, id) => {
                self.insert(*identity, Identified::Touch(touch(*at, *line, *id)));
            }
            Step::Bulk(identity, at, count) => {
                for id in 0..*count {
                    let at = at + i64::try_from(id % 3).unwrap();
                    self.insert(
                        *identity,
                        Identified::Touch(touch(at, 1 + id % 2, 100 + id)),
                    );
                }
            }
            Step::Sale(identity, at, store, code) => {
                let sale = sale(*identity, *at, *store, *code);
                self.insert(*identity, Identified::Conversion(sale));
            }
            Step::Shared(identity, day) => self.insert(*identity, Identified::Shared(Day(*day))),
            Step::Line(line, campaign) => self.line(*line, *campaign),
            Step::Campaign(campaign, brand) => {
                self.deal(FactBody::Campaign(CampaignId(*campaign), BrandId(*brand)));
            }
            Step::Lookback(steps) => self.deal(FactBody::Settings(SettingsFact {
                lookback_secs: steps * STEP_SECS,
                ..SettingsFact::default()
            })),
            Step::Remove(which) if !self.live.is_empty() => {
                let gone = self.live.remove(which.index(self.live.len()));
                self.updates.push((gone, -1));
            }
            Step::Remove(_) | Step::Tick => {}
        }
    }

    /// A tick: the operator's changes must lead to what the reference says.
    fn tick(&mut self) -> Result<(), TestCaseError> {
        let mut updates = std::mem::take(&mut self.updates);
        differential_dataflow::consolidation::consolidate(&mut updates);
        let mut out = Vec::new();
        self.state
            .step(updates, &std::mem::take(&mut self.settings), &mut out);
        for (credited, diff) in out {
            if matches!(credited, Credited::Conversion(..) | Credited::Share(_)) {
                let count = self.standing.entry(credited).or_insert(0);
                *count += diff;
            }
        }
        self.standing.retain(|_, count| *count != 0);
        let reference: BTreeMap<Credited, i64> =
            self.reference().into_iter().map(|row| (row, 1)).collect();
        prop_assert_eq!(&self.standing, &reference);
        Ok(())
    }

    fn reference(&self) -> Vec<Credited> {
        let sales = self.live.iter().filter_map(|(key, item)| match item {
            Identified::Conversion(sale) => Some((*key, *sale)),
            _ => None,
        });
        sales
            .flat_map(|(key, sale)| self.reference_of(key, &sale))
            .collect()
    }

    fn is_shared(&self, key: IdentityKey, day: Day) -> bool {
        self.live.contains(&(key, Identified::Shared(day)))
    }

    fn reference_of(&self, key: IdentityKey, sale: &Sale) -> Vec<Credited> {
        let deals = &self.deals;
        let brand = deals.brand_of_store(sale.store);
        let lookback = deals
            .settings()
            .lookback_secs
            .min(LOOKBACK_STEPS_MAX * STEP_SECS);
        let usable = brand.is_some() && !self.is_shared(key, sale.time.day());
        let mut joined: Vec<Touch> = self
            .live
            .iter()
            .filter_map(|(at, item)| match item {
                Identified::Touch(touch) if *at == key && usable => Some(*touch),
                _ => None,
            })
            .filter(|touch| {
                deals.brand_of_line(touch.line) == brand
                    && !self.is_shared(key, touch.time.day())
                    && touch.secs <= sale.time.secs()
                    && touch.secs > sale.time.secs() - lookback
            })
            .collect();
        joined.sort_by_key(|touch| (touch.secs, touch.touch));
        let mut cut = joined.len().saturating_sub(256);
        if cut > 0 {
            joined.drain(1..=cut).for_each(drop);
        }
        let mut path: Vec<PathTouch> = joined
            .iter()
            .map(|touch| PathTouch {
                time: touch.time,
                touch: touch.touch,
                line: touch.line,
                campaign: deals.line(touch.line).unwrap().campaign,
                show: touch.show,
            })
            .collect();
        let code = Some(sale.code).filter(|_| brand.is_some());
        let code_line = code.and_then(|code| deals.line_of_code(sale.store, code));
        let full = path.len() == 256;
        let known = code_line.is_some_and(|line| path.iter().any(|t| t.line == line.line));
        cut += usize::from(full && code_line.is_some() && !known);
        let code_line = code_line.map(|line| (line.line, line.campaign));
        let matched_by = with_code_touch(&mut path, sale, code_line);
        let row = ConversionRow {
            store: sale.store,
            brand,
            kind: sale.kind,
            time: sale.time,
            household: sale.household,
            value: sale.value,
            refunded: sale.refunded,
            currency: sale.currency,
            code: sale.code,
            code_line: code_line.map(|(line, _)| line).unwrap_or_default(),
            signals: 1,
            touches: u32::try_from(path.len()).unwrap(),
            touches_cut: u32::try_from(cut).unwrap(),
            matched_by,
            path: path
                .iter()
                .map(|touch| PathStep {
                    line: touch.line,
                    campaign: touch.campaign,
                    show: touch.show,
                    age_secs: u32::try_from(sale.time.secs() - touch.time.secs()).unwrap(),
                })
                .collect(),
        };
        let conversion = ConversionKey {
            tenant: TENANT,
            conversion: sale.conversion,
        };
        let mut rows = vec![Credited::Conversion(conversion, Box::new(row))];
        if path.is_empty() {
            return rows;
        }
        let half_life_secs = deals.settings().half_life_secs;
        let shares = credit(sale.time, sale.value, &path, half_life_secs);
        rows.extend(shares.iter().map(|share| {
            Credited::Share(ShareRow {
                tenant: TENANT,
                day: sale.time.day(),
                conversion: sale.conversion,
                campaign: share.campaign,
                line: share.line,
                show: share.show,
                currency: sale.currency,
                credit_micros: share.credit_micros,
                money_micros: share.money_micros,
            })
        }));
        rows
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_operator_is_a_join_and_a_reduction(steps in prop::collection::vec(step(), 1..80)) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
            if matches!(step, Step::Tick) {
                world.tick()?;
            }
        }
        world.tick()?;
    }
}
