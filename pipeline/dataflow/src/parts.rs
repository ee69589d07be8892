//! Parts what counting says by what becomes of it, without a copy.
//!
//! One operator, not one for each part: an operator costs each tick something, however little goes through it.

use hostread_rules::counting::CountedDownload;
use hostread_rules::rows::download_row;
use hostread_schemas::view::DownloadsDailyKey;
use hostread_schemas::{AgentId, Day, HouseholdId, TenantId};
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::operate::FrontierInterest;

use differential_dataflow::AsCollection;

use crate::by_tick::Stream;
use crate::counted::{Counted, Delivered};
use crate::output::Output;

type Updates<D> = Vec<(D, u64, i64)>;

/// What counting says, by what becomes of it.
pub(crate) struct Parts<'s> {
    /// Verdicts, downloads, and what a release carries of windows that are open.
    pub(crate) outputs: Stream<'s, Output>,
    /// Downloads.
    pub(crate) downloads: Stream<'s, (TenantId, CountedDownload)>,
    /// Ads.
    pub(crate) deliveries: Stream<'s, (TenantId, Delivered)>,
    /// Agents behind an IP* on a day.
    pub(crate) presence: Stream<'s, ((TenantId, HouseholdId), (Day, AgentId))>,
    /// By how much the windows that go over midnight differ from the calendar's.
    pub(crate) rolled: Stream<'s, DownloadsDailyKey>,
}

/// Parts it.
pub(crate) fn parts(counted: Stream<'_, Counted>) -> Parts<'_> {
    let mut builder = OperatorBuilder::new("Parts".to_owned(), counted.inner.scope());
    let mut input = builder.new_input(counted.inner, Pipeline);
    builder.set_notify_for(0, FrontierInterest::Never);
    let (outputs_out, outputs) = builder.new_output::<Updates<_>>();
    let (downloads_out, downloads) = builder.new_output::<Updates<_>>();
    let (deliveries_out, deliveries) = builder.new_output::<Updates<_>>();
    let (presence_out, presence) = builder.new_output::<Updates<_>>();
    let (rolled_out, rolled) = builder.new_output::<Updates<_>>();
    builder.build(move |_| {
        let mut outputs = OutputBuilder::from(outputs_out);
        let mut downloads = OutputBuilder::from(downloads_out);
        let mut deliveries = OutputBuilder::from(deliveries_out);
        let mut presence = OutputBuilder::from(presence_out);
        let mut rolled = OutputBuilder::from(rolled_out);
        move |_frontiers| {
            let mut outputs = outputs.activate();
            let mut downloads = downloads.activate();
            let mut deliveries = deliveries.activate();
            let mut presence = presence.activate();
            let mut rolled = rolled.activate();
            input.for_each_time(|time, data| {
                let mut outputs = outputs.session(&time);
                let mut downloads = downloads.session(&time);
                let mut deliveries = deliveries.session(&time);
                let mut presence = presence.session(&time);
                let mut rolled = rolled.session(&time);
                for (counted, tick, diff) in data.flat_map(|data| data.drain(..)) {
                    match counted {
                        Counted::Verdict(key, row) => {
                            outputs.give((Output::Row((key, row).into()), tick, diff));
                        }
                        Counted::Download(tenant, listener, download) => {
                            let row = download_row(tenant, listener, &download).into();
                            outputs.give((Output::Row(row), tick, diff));
                            downloads.give(((tenant, download), tick, diff));
                        }
                        Counted::Delivery(tenant, delivered) => {
                            deliveries.give(((tenant, delivered), tick, diff));
                        }
                        Counted::Presence(tenant, household, day, agent) => {
                            presence.give((((tenant, household), (day, agent)), tick, diff));
                        }
                        Counted::Rolled(key) => rolled.give((key, tick, diff)),
                        Counted::Open(key, episode, open) => {
                            let carry = Output::Material(Counted::carry(key, episode, open));
                            outputs.give((carry, tick, diff));
                        }
                    }
                }
            });
        }
    });
    Parts {
        outputs: outputs.as_collection(),
        downloads: downloads.as_collection(),
        deliveries: deliveries.as_collection(),
        presence: presence.as_collection(),
        rolled: rolled.as_collection(),
    }
}
