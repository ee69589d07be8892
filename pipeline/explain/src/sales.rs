//! A tenant's conversions, with all that they are credited by.

use std::collections::{BTreeMap, BTreeSet};

use hostread_rules::conversion::Conversion;
use hostread_schemas::{HouseholdId, TenantId};

use crate::days::Whose;
use crate::dims::Dims;
use crate::known::{Known, ReadError};
use crate::path::{Credited, Life, Part, credited, lives};
use crate::signals::{Merging, merged};

/// Conversions and the households that made them.
pub(crate) struct Sales<'k> {
    known: &'k Known<'k>,
    dims: &'k Dims,
    tenant: TenantId,
    pub(crate) merging: Merging,
    lives: BTreeMap<HouseholdId, Life>,
}

impl<'k> Sales<'k> {
    pub(crate) fn read(
        known: &'k Known<'k>,
        dims: &'k Dims,
        tenant: TenantId,
    ) -> Result<Self, ReadError> {
        let merging = merged(known, tenant)?;
        let signals = merging.merged.iter().flat_map(|one| &one.signals);
        let households = signals.map(|signal| signal.fact.household);
        let households: BTreeSet<_> = households.filter(|it| it.is_some()).collect();
        let whose = Whose::Households(&households);
        Ok(Self {
            lives: lives(known, dims, tenant, whose, |_| Part::Whole)?,
            known,
            dims,
            tenant,
            merging,
        })
    }

    /// What a household did that made a conversion.
    pub(crate) fn life(&self, made: &Conversion) -> Option<&Life> {
        self.lives.get(&made.household)
    }

    /// The path of a conversion, and what it earned whom.
    pub(crate) fn credited(&self, made: &Conversion) -> Credited {
        let receipts = self.merging.receipts.get(&made.conversion);
        let receipts = receipts.map_or(&[][..], Vec::as_slice);
        let (known, dims) = (self.known, self.dims);
        credited(known, dims, self.tenant, made, self.life(made), receipts)
    }
}
