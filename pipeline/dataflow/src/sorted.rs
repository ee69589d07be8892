//! Sorts large data by a number that their order begins with; whole only where it is the same. Each datum moves once.

/// The data in their order, the same ones added up; none whose sum is zero.
///
/// Needs: of two data the smaller one's `lead` is not the larger one.
pub(crate) fn consolidated<D: Ord>(
    data: Vec<(D, i64)>,
    lead: impl Fn(&D) -> u128,
) -> impl Iterator<Item = (D, i64)> {
    let leads = data.iter().map(|(datum, _)| lead(datum));
    let mut order: Vec<(u128, usize)> = leads.zip(0..).collect();
    let datum = |at: usize| data.get(at).map(|(datum, _)| datum);
    order.sort_unstable_by(|(lead, at), (other_lead, other)| {
        lead.cmp(other_lead)
            .then_with(|| datum(*at).cmp(&datum(*other)))
    });
    let mut order = order.into_iter().peekable();
    let mut data: Vec<Option<(D, i64)>> = data.into_iter().map(Some).collect();
    std::iter::from_fn(move || {
        loop {
            let (lead, at) = order.next()?;
            let (datum, mut sum) = data.get_mut(at)?.take()?;
            let is_same = |data: &[Option<(D, i64)>], at: usize| {
                let other = data.get(at).and_then(Option::as_ref);
                other.is_some_and(|(other, _)| *other == datum)
            };
            while let Some((_, at)) =
                order.next_if(|(other, at)| *other == lead && is_same(&data, *at))
            {
                let same = data.get_mut(at).and_then(Option::take);
                sum += same.map_or(0, |(_, diff)| diff);
            }
            if sum != 0 {
                return Some((datum, sum));
            }
        }
    })
}

/// The lead of what is sorted by tenant and then by an id.
pub(crate) const fn of_tenant(tenant: hostread_schemas::TenantId, id: u64) -> u128 {
    ((tenant.0 as u128) << 64) | id as u128
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn as_a_map_has_it(data in proptest::collection::vec(((0_u64..3, 0_u8..4), -1_i64..=2), 0..40)) {
            let mut sums: BTreeMap<(u64, u8), i64> = BTreeMap::new();
            for (datum, diff) in &data {
                *sums.entry(*datum).or_default() += diff;
            }
            sums.retain(|_, sum| *sum != 0);
            let all: Vec<_> = consolidated(data, |(lead, _)| u128::from(*lead)).collect();
            prop_assert_eq!(all, Vec::from_iter(sums));
        }
    }
}
