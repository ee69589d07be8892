//! What attribution knows of a tenant besides touches and conversions: stores, campaigns, lines,
//! codes, settings. State: one entry per live version of a reference fact.

use std::collections::{BTreeMap, BTreeSet};

use hostread_schemas::fact::{Fact, FactBody, LineFact, SettingsFact};
use hostread_schemas::{BrandId, CampaignId, CodeId, LineId, StoreId, TenantId};

use crate::by_tick::Latest;

/// One tenant's dimensions of attribution.
#[derive(Clone, Default)]
pub(crate) struct Deals {
    lines: Latest<LineId, LineFact>,
    campaigns: Latest<CampaignId, BrandId>,
    stores: Latest<StoreId, BrandId>,
    codes: Latest<(StoreId, CodeId), LineId>,
    settings: Latest<(), SettingsFact>,
}

/// Dimensions of every tenant.
pub(crate) type AllDeals = BTreeMap<TenantId, Deals>;

/// Lines, stores and codes whose meaning a change can alter; `None` = everything.
pub(crate) type TouchedDeals = Option<BTreeSet<u64>>;

impl Deals {
    /// Applies one reference fact and adds what it can touch.
    pub(crate) fn apply(&mut self, fact: &Fact, diff: i64, touched: &mut TouchedDeals) {
        match &fact.body {
            FactBody::Line(line) => {
                self.lines.update(line.line, fact, line.clone(), diff);
                touch(touched, [line.line.0]);
                // A conversion that never saw the line can still name it by a code.
                let codes = self.codes.iter().filter(|(_, named)| **named == line.line);
                touch(touched, codes.map(|((_, code), _)| code.0));
            }
            FactBody::Campaign(campaign, brand) => {
                self.campaigns.update(*campaign, fact, *brand, diff);
                let lines = self
                    .lines
                    .iter()
                    .filter(|(_, line)| line.campaign == *campaign);
                touch(touched, lines.map(|(line, _)| line.0));
            }
            FactBody::Store(store, brand) => {
                self.stores.update(*store, fact, *brand, diff);
                touch(touched, [store.0]);
            }
            FactBody::Code(store, code, line) => {
                self.codes.update((*store, *code), fact, *line, diff);
                touch(touched, [code.0]);
            }
            FactBody::Settings(settings) => {
                self.settings.update((), fact, *settings, diff);
                *touched = None;
            }
            _ => {}
        }
    }

    /// The line item, if it is known.
    pub(crate) fn line(&self, line: LineId) -> Option<&LineFact> {
        self.lines.get(&line)
    }

    /// Brand of the line's campaign; none when either is not known.
    pub(crate) fn brand_of_line(&self, line: LineId) -> BrandId {
        self.lines
            .get(&line)
            .and_then(|line| self.campaigns.get(&line.campaign))
            .copied()
            .unwrap_or(BrandId::NONE)
    }

    /// The store's brand; none when the store is not known.
    pub(crate) fn brand_of_store(&self, store: StoreId) -> BrandId {
        self.stores.get(&store).copied().unwrap_or(BrandId::NONE)
    }

    /// The known line that the code names in the store.
    pub(crate) fn line_of_code(&self, store: StoreId, code: CodeId) -> Option<&LineFact> {
        if !code.is_some() {
            return None;
        }
        self.line(*self.codes.get(&(store, code))?)
    }

    /// The tenant's settings.
    pub(crate) fn settings(&self) -> SettingsFact {
        self.settings.get(&()).copied().unwrap_or_default()
    }
}

fn touch(touched: &mut TouchedDeals, ids: impl IntoIterator<Item = u64>) {
    if let Some(subjects) = touched {
        subjects.extend(ids);
    }
}
