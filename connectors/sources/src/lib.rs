//! One folder a source: how its input is verified and what events it becomes.
//! Needs: an `Origin` (tenant, source, keys).    Promises: everything here is pure and passes the kit's conformance suite.
//! Leaves out: receiving (the gateway's doors).
//!
//! ```text
//! cloudfront combined    lines of delivery logs -> request          pixel impression redemption    doors for sites and ad servers
//! shopify                signed webhooks -> order                   events_json deals_csv          every event as JSON, facts as CSV
//! ```

pub mod cloudfront;
pub mod combined;
pub mod lines;
pub mod log;

/// Every connector by name: what metrics, dead letters and documents call it.
pub const CONNECTORS: &[&str] = &[
    "cloudfront",
    "combined",
    "shopify",
    "pixel",
    "impression",
    "redemption",
    "events_json",
    "deals_csv",
];
