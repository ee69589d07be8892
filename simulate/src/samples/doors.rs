//! What the public doors get: one object a line with their fields, the key `k` left out.

use hostread_schemas::EventTimeMs;
use serde::Serialize;

use crate::world::TenantWorld;
use crate::world::catalog::BRANDS;

fn time(secs: i64) -> String {
    EventTimeMs(secs * 1_000).to_rfc3339()
}

fn money(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

#[derive(Serialize)]
pub(super) struct Impression<'a> {
    id: String,
    time: String,
    line: &'a str,
    show: &'a str,
    episode: &'a str,
    kind: &'static str,
    ip: &'a str,
    agent: &'a str,
}

pub(super) fn impressions(tenant: &TenantWorld) -> Vec<Impression<'_>> {
    let all = tenant.impressions.iter().enumerate();
    all.map(|(nth, said)| Impression {
        id: format!("i{nth}"),
        time: time(said.secs),
        line: &said.line,
        show: &said.show,
        episode: &said.episode,
        kind: if said.confirmed {
            "client_confirmed"
        } else {
            "delivered"
        },
        ip: &said.ip,
        agent: &said.agent,
    })
    .collect()
}

#[derive(Serialize)]
pub(super) struct Pixel<'a> {
    id: String,
    time: String,
    store: &'a str,
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<&'a str>,
    ip: &'a str,
    agent: &'a str,
}

pub(super) fn pixels(tenant: &TenantWorld) -> Vec<Pixel<'_>> {
    let all = tenant.pixels.iter().enumerate();
    all.map(|(nth, said)| Pixel {
        id: format!("p{nth}"),
        time: time(said.secs),
        store: BRANDS[said.brand].store,
        kind: said.kind,
        order: said.order.as_deref(),
        value: said.value_cents.map(money),
        currency: said.value_cents.map(|_| BRANDS[said.brand].currency),
        ip: &said.ip,
        agent: said.agent,
    })
    .collect()
}

#[derive(Serialize)]
pub(super) struct Redemption<'a> {
    id: String,
    time: String,
    store: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<&'a str>,
    value: String,
    currency: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<&'a str>,
}

pub(super) fn redemptions(tenant: &TenantWorld) -> Vec<Redemption<'_>> {
    let all = tenant.redemptions.iter().enumerate();
    all.map(|(nth, said)| Redemption {
        id: format!("c{nth}"),
        time: time(said.secs),
        store: BRANDS[said.brand].store,
        code: &said.code,
        order: said.order.as_deref(),
        value: money(said.value_cents),
        currency: BRANDS[said.brand].currency,
        ip: said.ip.as_deref(),
    })
    .collect()
}
