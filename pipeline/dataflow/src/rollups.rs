//! Sums by day: amounts in the diff, carries beside what is live.
//!
//! Invariant 1: a released day's carry equals its live roll-up, so that a release changes no sum.

use differential_dataflow::operators::CountTotal;
use hostread_rules::counting::CountedDownload;
use hostread_schemas::event::Model;
use hostread_schemas::fact::{Carry, Fact, FactBody, RetentionClass, Series};
use hostread_schemas::view::{
    AttributionDailyKey, AttributionDailyRow, DeliveryDailyKey, DeliveryDailyRow,
    DownloadsDailyKey, DownloadsDailyRow, ViewRow, WindowKind,
};
use hostread_schemas::{Day, Hour, LineId, TenantId};
use serde::{Deserialize, Serialize};

use crate::by_tick::Stream;
use crate::count::ROLLING;
use crate::counted::Delivered;
use crate::lines::{LineInput, LineKey, line_numbers};
use crate::nearest_k::Credited;
use crate::output::{Material, Output};
use crate::series::anomalies;
use crate::sums::{Amounts, rows_that_differ};

/// Ads of a line on a billing day: (delivered, billable, last hour with a billable one).
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
struct DayOfAds {
    delivered: i64,
    billable: i64,
    last_hour: Option<Hour>,
}

/// Every view that is a sum, and what is made of the sums.
pub(crate) fn rollups<'s>(
    downloads: &Stream<'s, (TenantId, CountedDownload)>,
    deliveries: &Stream<'s, (TenantId, Delivered)>,
    credited: &Stream<'s, Credited>,
    carries: &Stream<'s, (TenantId, Carry)>,
    deals: &Stream<'s, Fact>,
    hours: &Stream<'s, Hour>,
) -> Stream<'s, Output> {
    let (ads, ads_material) = days_of_ads(deliveries, carries);
    let (credits, credits_material) = days_of_credits(credited, carries);
    let (series, series_material) = hours_of_series(downloads, credited, carries);

    let deals = deals.clone().flat_map(|fact| match &fact.body {
        FactBody::Line(line) => Some(((fact.tenant, line.line), LineInput::Deal(fact))),
        FactBody::Aired { line, .. } => Some(((fact.tenant, *line), LineInput::Deal(fact))),
        _ => None,
    });
    let delivered = ads.clone().map(|((tenant, line, day), ads)| {
        (
            (tenant, line),
            LineInput::Delivered(day, ads.billable, ads.last_hour),
        )
    });
    let numbers = line_numbers(deals.concat(delivered).concat(credits), hours.clone());

    let delivery_daily = ads.map(|((tenant, line, day), ads)| {
        let row = DeliveryDailyRow {
            delivered: ads.delivered,
            billable: ads.billable,
        };
        ViewRow::from((DeliveryDailyKey { tenant, line, day }, row))
    });
    attribution_daily(credited)
        .concat(delivery_daily)
        .concat(numbers)
        .concat(anomalies(series, hours.clone()))
        .map(Output::Row)
        .concat(ads_material)
        .concat(credits_material)
        .concat(series_material)
}

/// Downloads by day under each window: the calendar's, and by how much the others differ from them.
///
/// All windows of a day are one key, so that a download moves one sum.
pub(crate) fn downloads_daily<'s>(
    downloads: &Stream<'s, (TenantId, CountedDownload)>,
    rolled: &Stream<'s, DownloadsDailyKey>,
) -> Stream<'s, ViewRow> {
    let window = WindowKind::CalendarDay;
    let calendar = downloads.clone().explode(move |(tenant, download)| {
        let key = DownloadsDailyKey {
            tenant,
            day: download.t0.day(),
            window,
            show: download.show,
            episode: download.episode,
            source_kind: download.source_kind,
        };
        Some((key, (1, 1, 1)))
    });
    let rolling = rolled.clone().explode(move |key| {
        let [first, last] = ROLLING.map(|window| i64::from(key.window == window));
        Some((DownloadsDailyKey { window, ..key }, (0, first, last)))
    });
    let sums = calendar.concat(rolling).count_total_core::<i64>();
    let [first_touch, last_touch] = ROLLING;
    let windows = [window, first_touch, last_touch];
    rows_that_differ(
        sums,
        |(calendar, first, last)| [calendar, first, last],
        move |key, at, downloads| {
            let window = windows[at];
            (
                DownloadsDailyKey { window, ..*key },
                DownloadsDailyRow { downloads },
            )
                .into()
        },
    )
}

fn attribution_daily<'s>(credited: &Stream<'s, Credited>) -> Stream<'s, ViewRow> {
    let shares = credited.clone().flat_map(|credited| match credited {
        Credited::Share(share) => Some(share),
        _ => None,
    });
    let sums = shares
        .explode(|share| {
            let key = AttributionDailyKey {
                tenant: share.tenant,
                day: share.day,
                campaign: share.campaign,
                line: share.line,
                show: share.show,
                model: Model::default(),
                currency: share.currency,
            };
            let amounts = Amounts {
                credit_micros: share.credit_micros,
                money_micros: share.money_micros,
            };
            Some((key, amounts))
        })
        .count_total_core::<i64>();
    rows_that_differ(
        sums,
        Amounts::by_model,
        |key, at, (credit_micros, money_micros)| {
            let row = AttributionDailyRow {
                credit_micros,
                money_micros,
            };
            let model = Model::ALL[at];
            (AttributionDailyKey { model, ..*key }, row).into()
        },
    )
}

/// Ads by (line, billing day), live and carried; and the carries of what is live.
fn days_of_ads<'s>(
    deliveries: &Stream<'s, (TenantId, Delivered)>,
    carries: &Stream<'s, (TenantId, Carry)>,
) -> (
    Stream<'s, ((TenantId, LineId, Day), DayOfAds)>,
    Stream<'s, Output>,
) {
    let live = deliveries
        .clone()
        .map(|(tenant, d)| {
            let key = (tenant, d.delivery.line, d.billing_day, d.exposure_day);
            (key, (d.billable, d.delivery.time.hour()))
        })
        .reduce_named("DayOfAds", |_, items, out: &mut Vec<(DayOfAds, i64)>| {
            let mut sum = DayOfAds::default();
            for ((billable, hour), count) in items {
                sum.delivered += count;
                if *billable {
                    sum.billable += count;
                    sum.last_hour = sum.last_hour.max(Some(*hour));
                }
            }
            out.push((sum, 1));
        });
    let material = live
        .clone()
        .map(|((tenant, line, day, exposure_day), ads)| {
            let last_hour = ads.last_hour.unwrap_or(Hour(i32::MIN));
            let (delivered, billable) = (ads.delivered, ads.billable);
            let carry = Carry::Delivery {
                line,
                day,
                delivered,
                billable,
                last_hour,
            };
            Output::Material(Material {
                class: RetentionClass::Exposure,
                day: exposure_day,
                tenant,
                carry,
            })
        });
    let carried = carries.clone().flat_map(|(tenant, carry)| match carry {
        Carry::Delivery {
            line,
            day,
            delivered,
            billable,
            last_hour,
        } => {
            let last_hour = (last_hour != Hour(i32::MIN)).then_some(last_hour);
            Some((
                (tenant, line, day),
                DayOfAds {
                    delivered,
                    billable,
                    last_hour,
                },
            ))
        }
        _ => None,
    });
    let sums = live
        .map(|((tenant, line, day, _), ads)| ((tenant, line, day), ads))
        .concat(carried)
        .reduce_named("DaysOfAds", |_, items, out: &mut Vec<(DayOfAds, i64)>| {
            let mut sum = DayOfAds::default();
            for (ads, count) in items {
                sum.delivered += ads.delivered * count;
                sum.billable += ads.billable * count;
                sum.last_hour = sum.last_hour.max(ads.last_hour);
            }
            out.push((sum, 1));
        });
    (sums, material)
}

/// Credits of CPA lines by (line, civil day), live and carried; and the carries of what is live.
fn days_of_credits<'s>(
    credited: &Stream<'s, Credited>,
    carries: &Stream<'s, (TenantId, Carry)>,
) -> (Stream<'s, (LineKey, LineInput)>, Stream<'s, Output>) {
    let live = credited
        .clone()
        .flat_map(|credited| match credited {
            Credited::LineCredit(tenant, line, day, civil_day, _, credits) => {
                Some((tenant, line, day, civil_day, credits))
            }
            _ => None,
        })
        .explode(|(tenant, line, day, civil_day, credits)| {
            Some(((tenant, line, day, civil_day), credits))
        })
        .count_total_core::<i64>();
    let material = live
        .clone()
        .map(|((tenant, line, conversion_day, day), credits)| {
            let carry = Carry::Credits { line, day, credits };
            Output::Material(Material {
                class: RetentionClass::Conversion,
                day: conversion_day,
                tenant,
                carry,
            })
        });
    let carried = carries.clone().flat_map(|(tenant, carry)| match carry {
        Carry::Credits { line, day, credits } => Some(((tenant, line, day), credits)),
        _ => None,
    });
    let sums = live
        .map(|((tenant, line, _, day), credits)| ((tenant, line, day), credits))
        .concat(carried)
        .explode(|(key, credits)| Some((key, credits)))
        .count_total_core::<i64>()
        .map(|((tenant, line, day), credits)| ((tenant, line), LineInput::Credited(day, credits)));
    (sums, material)
}

type SeriesHours<'s> = Stream<'s, ((TenantId, Series), (Hour, i64))>;

/// Counts by (series, hour), live and carried; and the carries of what is live.
fn hours_of_series<'s>(
    downloads: &Stream<'s, (TenantId, CountedDownload)>,
    credited: &Stream<'s, Credited>,
    carries: &Stream<'s, (TenantId, Carry)>,
) -> (SeriesHours<'s>, Stream<'s, Output>) {
    let shows = downloads.clone().map(|(tenant, d)| {
        let series = Series::ShowDownloads(d.show);
        (tenant, series, d.t0.hour(), d.t0.day())
    });
    let campaigns = credited.clone().flat_map(|credited| match credited {
        Credited::CampaignHour(tenant, campaign, hour, until, _) => {
            Some((tenant, Series::CampaignConversions(campaign), hour, until))
        }
        _ => None,
    });
    let live = shows.concat(campaigns).count_total_core::<i64>();
    let material = live.clone().map(|((tenant, series, hour, day), count)| {
        let class = match series {
            Series::ShowDownloads(_) => RetentionClass::Exposure,
            Series::CampaignConversions(_) => RetentionClass::Conversion,
        };
        let carry = Carry::Series {
            series,
            hour,
            count,
        };
        Output::Material(Material {
            class,
            day,
            tenant,
            carry,
        })
    });
    let carried = carries.clone().flat_map(|(tenant, carry)| match carry {
        Carry::Series {
            series,
            hour,
            count,
        } => Some(((tenant, series, hour), count)),
        _ => None,
    });
    // Conversions of one hour may be released on different days: part live, part carried.
    let hours = live
        .map(|((tenant, series, hour, _), count)| ((tenant, series, hour), count))
        .concat(carried)
        .explode(|(key, count)| Some((key, count)))
        .count_total_core::<i64>()
        .map(|((tenant, series, hour), count)| ((tenant, series), (hour, count)));
    (hours, material)
}
