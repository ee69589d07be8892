//! One folder a source: how its input is verified and what events it becomes.
//! Needs: an `Origin` (tenant, source, keys).    Promises: everything here is pure and passes the kit's conformance suite.
//! Leaves out: receiving (the gateway's doors).
//!
//! ```text
//! cloudfront combined    lines of delivery logs -> request          pixel impression redemption    doors for sites and ad servers
//! cloudflare mapped      lines of JSON or CSV -> request            prefix                     hits of the redirect -> request
//! shopify                signed webhooks -> order                   events_json deals_csv          every event as JSON, facts as CSV
//! feed                   a podcast's RSS or Atom -> episode
//! ```

pub mod cloudflare;
pub mod cloudfront;
pub mod combined;
pub mod deals_csv;
pub mod events_json;
pub mod feed;
pub mod impression;
pub mod lines;
pub mod log;
pub mod mapped;
pub mod pixel;
pub mod prefix;
mod range;
pub mod redemption;
pub mod shopify;
pub mod unpack;
mod web;

/// The public key in a query string or JSON object, if it names one.
#[must_use]
pub fn public_key(body: &[u8]) -> Option<String> {
    web::Answers::read(body).ok()?.owned("k")
}

/// Every connector by name: what metrics, dead letters and documents call it.
pub const CONNECTORS: &[&str] = &[
    "cloudfront",
    "combined",
    "cloudflare",
    "mapped",
    "prefix",
    "shopify",
    "pixel",
    "impression",
    "redemption",
    "events_json",
    "deals_csv",
    "feed",
];
