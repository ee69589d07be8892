//! Visits to the shops of brands, seen by the pixel.

use hostread_schemas::event::IpClass;
use hostread_schemas::fact::{FactBody, RetentionClass, SignalKind};
use hostread_schemas::{BrandId, Day, EventTimeMs, HouseholdId, TenantId};

use crate::dims::Dims;
use crate::known::{Known, ReadError};

/// A visit of a household's that an ad may have led to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visit {
    pub(crate) household: HouseholdId,
    pub(crate) time: EventTimeMs,
    pub(crate) brand: BrandId,
    /// Something was put into a cart.
    pub(crate) cart: bool,
}

/// Visits from a day on, at residential addresses of households that are wanted.
pub(crate) fn visits(
    known: &Known<'_>,
    dims: &Dims,
    tenant: TenantId,
    from: Day,
    wanted: impl Fn(HouseholdId) -> bool,
) -> Result<Vec<Visit>, ReadError> {
    let mut visits = Vec::new();
    let class = RetentionClass::Conversion;
    let days = known.live.days(class).into_iter();
    for day in days.filter(|day| *day >= from) {
        known.live.facts(class, day, &mut |fact| {
            let FactBody::Signal(signal) = fact.body else {
                return;
            };
            let counts = fact.tenant == tenant
                && signal.kind.is_visit()
                && signal.ip_class == IpClass::Residential;
            if counts && signal.household.is_some() && wanted(signal.household) {
                visits.push(Visit {
                    household: signal.household,
                    time: fact.time,
                    brand: dims.brand_of_store(signal.store),
                    cart: signal.kind == SignalKind::PixelCart,
                });
            }
        })?;
    }
    Ok(visits)
}
