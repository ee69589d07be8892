//! The words that tables use where the shared types have none of their own, and the text of a number's key.
//! Promises: the same in every sink; the key's text has its fields in a fixed order.

use hostread_schemas::event::{AdKind, ControllingSource, IpClass, Method, PriceKind, SourceKind};
use hostread_schemas::fact::{Series, SignalKind};
use hostread_schemas::view::{
    AttributionDailyKey, BillingLineKey, Cause, DeliveryDailyKey, DownloadsDailyKey, LateOf,
    NumberKey, View,
};
use hostread_schemas::{NameKind, Names};

/// What saw a request.
#[must_use]
pub const fn source_kind(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Cdn => "cdn",
        SourceKind::Prefix => "prefix",
    }
}

/// How something was asked for.
#[must_use]
pub const fn method(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Other => "other",
    }
}

/// What an address is.
#[must_use]
pub const fn ip_class(class: IpClass) -> &'static str {
    match class {
        IpClass::Included => "included",
        IpClass::Relay => "relay",
        IpClass::DataCentre => "data_centre",
        IpClass::Vpn => "vpn",
        IpClass::Cellular => "cellular",
        IpClass::Office => "office",
        IpClass::Residential => "residential",
    }
}

/// How an ad comes into an episode.
#[must_use]
pub const fn ad_kind(kind: AdKind) -> &'static str {
    match kind {
        AdKind::BakedIn => "baked_in",
        AdKind::Inserted => "inserted",
    }
}

/// Whose report of an ad counts.
#[must_use]
pub const fn controlling(source: ControllingSource) -> &'static str {
    match source {
        ControllingSource::Bytes => "bytes",
        ControllingSource::Impressions => "impressions",
    }
}

/// What a price is for.
#[must_use]
pub const fn price_kind(kind: PriceKind) -> &'static str {
    match kind {
        PriceKind::Cpm => "cpm",
        PriceKind::Cpa => "cpa",
    }
}

/// What reported a conversion.
#[must_use]
pub const fn signal_kind(kind: SignalKind) -> &'static str {
    match kind {
        SignalKind::Order => "order",
        SignalKind::Refund => "refund",
        SignalKind::Cancel => "cancel",
        SignalKind::Redemption => "redemption",
        SignalKind::PixelPurchase => "pixel_purchase",
        SignalKind::PixelLead => "pixel_lead",
        SignalKind::PixelVisit => "pixel_visit",
        SignalKind::PixelCart => "pixel_cart",
    }
}

/// What an anomaly series counts.
#[must_use]
pub const fn series(series: Series) -> &'static str {
    match series {
        Series::ShowDownloads(_) => "show_downloads",
        Series::CampaignConversions(_) => "campaign_conversions",
    }
}

/// The name that a series is about.
#[must_use]
pub const fn series_subject(series: Series) -> (NameKind, u64) {
    match series {
        Series::ShowDownloads(show) => (NameKind::Show, show.0),
        Series::CampaignConversions(campaign) => (NameKind::Campaign, campaign.0),
    }
}

/// How a conversion was matched.
#[must_use]
pub const fn matched_by(by: u8) -> &'static str {
    match by {
        0 => "none",
        1 => "household",
        _ => "code",
    }
}

/// What moved a published number.
#[must_use]
pub const fn cause(cause: &Cause) -> &'static str {
    match cause {
        Cause::Event(_) => "event",
        Cause::Batches(..) => "batches",
        Cause::Clock => "clock",
    }
}

/// What came late.
#[must_use]
pub const fn late_kind(of: &LateOf) -> &'static str {
    match of {
        LateOf::Number(..) => "number",
        LateOf::Rows(_) => "rows",
        LateOf::Events => "events",
    }
}

/// The view that a late row is about; empty for events.
#[must_use]
pub const fn late_view(of: &LateOf) -> &'static str {
    match of {
        LateOf::Number(key, _) => number_view(key).name(),
        LateOf::Rows(view) => view.name(),
        LateOf::Events => "",
    }
}

/// The view of a number.
#[must_use]
pub const fn number_view(key: &NumberKey) -> View {
    match key {
        NumberKey::DownloadsDaily(_) => View::DownloadsDaily,
        NumberKey::AttributionDaily(_) => View::AttributionDaily,
        NumberKey::DeliveryDaily(_) => View::DeliveryDaily,
        NumberKey::BillingLines(_) => View::BillingLines,
    }
}

/// The key of a number as a JSON object of texts, without the tenant (it has a column of its own).
#[must_use]
pub fn number_key(key: &NumberKey, names: &Names) -> String {
    let name = |kind, id| names.text(kind, id).to_string();
    let fields: Vec<(&str, String)> = match key {
        NumberKey::DownloadsDaily(DownloadsDailyKey {
            tenant: _,
            day,
            window,
            show,
            episode,
            source_kind: source,
        }) => vec![
            ("day", day.to_string()),
            ("show", name(NameKind::Show, show.0)),
            ("episode", name(NameKind::Episode, episode.0)),
            ("source_kind", source_kind(*source).to_owned()),
            ("window_kind", window.as_str().to_owned()),
        ],
        NumberKey::AttributionDaily(AttributionDailyKey {
            tenant: _,
            day,
            campaign,
            line,
            show,
            model,
            currency,
        }) => vec![
            ("day", day.to_string()),
            ("campaign", name(NameKind::Campaign, campaign.0)),
            ("line", name(NameKind::Line, line.0)),
            ("show", name(NameKind::Show, show.0)),
            ("model", model.as_str().to_owned()),
            ("currency", currency.as_str().to_owned()),
        ],
        NumberKey::DeliveryDaily(DeliveryDailyKey {
            tenant: _,
            line,
            day,
        }) => vec![
            ("line", name(NameKind::Line, line.0)),
            ("day", day.to_string()),
        ],
        NumberKey::BillingLines(BillingLineKey {
            tenant: _,
            line,
            period,
        }) => vec![
            ("line", name(NameKind::Line, line.0)),
            ("period", period.to_string()),
        ],
    };
    let mut json = String::from("{");
    for (index, (field, text)) in fields.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        push_json_text(&mut json, field);
        json.push(':');
        push_json_text(&mut json, text);
    }
    json.push('}');
    json
}

/// Appends a text as JSON. A NUL becomes U+FFFD: not every store has a text with a NUL.
pub fn push_json_text(json: &mut String, text: &str) {
    use std::fmt::Write;
    json.push('"');
    for c in text.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\0' => json.push('\u{fffd}'),
            c if c < ' ' => write!(json, "\\u{:04x}", u32::from(c)).expect("a string takes all"),
            c => json.push(c),
        }
    }
    json.push('"');
}

#[cfg(test)]
mod tests {
    use hostread_schemas::{LineId, TenantId};

    use super::*;

    #[test]
    fn a_key_is_json_whatever_the_name() {
        let names = Names::default();
        names.insert(NameKind::Line, 5, "a\"b\\c\nü");
        let key = NumberKey::DeliveryDaily(DeliveryDailyKey {
            tenant: TenantId(1),
            line: LineId(5),
            day: hostread_schemas::Day(0),
        });
        assert_eq!(
            number_key(&key, &names),
            "{\"line\":\"a\\\"b\\\\c\\u000aü\",\"day\":\"1970-01-01\"}"
        );
    }
}
