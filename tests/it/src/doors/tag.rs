//! The tag in pages: what a visit sends, and what of it is kept under each answer to the question of consent.
//! Node runs the script in happy-dom's document model (`tests/tag`); the gateway and everything between them is real.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use hostread_schemas::event::{Body, Pixel, PixelKind};
use hostread_schemas::unit::MoneyMicros;

use super::bench::Doors;

/// What a browser takes for a script, packed or not.
const TAG_BYTES_MAX: usize = 3_000;
const VISIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tag/visit.js");

/// What a page says before the tag is there waits in `q`.
const STUB: &str = "window.hostread = window.hostread || function () { (hostread.q = hostread.q || []).push(arguments); };";

/// A page of a store: what stands on it before the tag, and what the tag's element says besides key and store.
fn page(gateway: &str, store: &str, before: &str, says: &str) -> String {
    format!(
        "<html><head><script>{before}</script>\
         <script async src=\"{gateway}/v1/tag.js\" data-key=\"pk-north\" data-store=\"{store}\" {says}></script>\
         </head><body></body></html>"
    )
}

/// Visits pages, one after the other; returns what was written to their consoles.
fn visit(gateway: &str, pages: &[String]) -> String {
    let mut node = Command::new("node")
        .args([VISIT, gateway])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pages = serde_json::to_vec(pages).unwrap();
    node.stdin.take().unwrap().write_all(&pages).unwrap();
    let out = node.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{said}");
    said
}

/// A consent tool of a page that answers as soon as it is asked.
fn tcf(answer: &str) -> String {
    format!(
        "window.__tcfapi = (command, version, told) => {{ if (version === 2) told({answer}, true); }};"
    )
}

fn gpp(sections: &str) -> String {
    format!(
        "window.__gpp = (command, told) => told({{pingData: {{signalStatus: 'ready', parsedSections: {sections}}}}}, true);"
    )
}

/// Store, what stands before the tag, what its element says, and is the visitor's address kept?
fn cases() -> Vec<(&'static str, String, &'static str, bool)> {
    let later = |call: &str| {
        format!("setTimeout(() => hostread({call}), 30); window.hostread = () => {{}};")
    };
    let text = str::to_owned;
    vec![
        ("nobody-asks", String::new(), "", true),
        ("granted", String::new(), "data-consent=granted", true),
        ("denied", String::new(), "data-consent=denied", false),
        (
            "says-yes",
            later("'consent', true"),
            "data-consent=wait",
            true,
        ),
        (
            "says-no",
            later("'consent', false"),
            "data-consent=wait",
            false,
        ),
        ("says-nothing", String::new(), "data-consent=wait", false),
        (
            "said-no-before",
            format!("{STUB} hostread('consent', false);"),
            "",
            false,
        ),
        (
            "a-typing-error",
            String::new(),
            "data-consent=grnated",
            false,
        ),
        (
            "global-privacy-control",
            text("Object.defineProperty(navigator, 'globalPrivacyControl', {value: true});"),
            "data-consent=granted",
            false,
        ),
        ("tcf-silent", text("window.__tcfapi = () => {};"), "", false),
        (
            "tcf-shown",
            tcf("{eventStatus: 'cmpuishown', gdprApplies: true, purpose: {consents: {7: true}}}"),
            "",
            false,
        ),
        (
            "tcf-yes",
            tcf("{eventStatus: 'tcloaded', gdprApplies: true, purpose: {consents: {7: true}}}"),
            "",
            true,
        ),
        (
            "tcf-no",
            tcf(
                "{eventStatus: 'useractioncomplete', gdprApplies: true, purpose: {consents: {1: true}}}",
            ),
            "",
            false,
        ),
        ("tcf-elsewhere", tcf("{gdprApplies: false}"), "", true),
        (
            "page-yes-tcf-no",
            tcf("{eventStatus: 'tcloaded', gdprApplies: true, purpose: {consents: {}}}"),
            "data-consent=granted",
            false,
        ),
        (
            "tcf-yes-page-no",
            tcf("{gdprApplies: false}"),
            "data-consent=denied",
            false,
        ),
        (
            "gpp-nothing-against",
            gpp("{usnat: [{SaleOptOut: 2, SharingOptOut: 0}, {Gpc: false}]}"),
            "",
            true,
        ),
        ("gpp-sale", gpp("{usca: {SaleOptOut: 1}}"), "", false),
        (
            "gpp-gpc",
            gpp("{usnat: [{SaleOptOut: 2}, {Gpc: true}]}"),
            "",
            false,
        ),
        (
            "gpp-europe",
            gpp("{tcfeuv2: {PurposeConsents: [true, true, true, true, true, true, false]}}"),
            "",
            false,
        ),
    ]
}

async fn pixels(doors: &Doors) -> BTreeMap<String, Vec<Pixel>> {
    let mut by_store: BTreeMap<String, Vec<Pixel>> = BTreeMap::new();
    for event in doors.events().await {
        if let Body::Pixel(pixel) = event.body {
            by_store.entry(pixel.store.clone()).or_default().push(pixel);
        }
    }
    by_store
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_is_kept_only_where_the_visitor_lets_it() {
    let doors = Doors::open().await;
    let pages = cases();
    let html: Vec<String> = pages
        .iter()
        .map(|(store, before, says, _)| page(&doors.url, store, before, says))
        .collect();
    let gateway = doors.url.clone();
    let said = tokio::task::spawn_blocking(move || visit(&gateway, &html)).await;
    assert_eq!(said.unwrap(), "");
    let seen = pixels(&doors).await;
    for (store, _, _, is_kept) in &pages {
        let seen = seen.get(*store).map(Vec::as_slice).unwrap_or_default();
        let [pixel] = seen else {
            panic!("{store}: {seen:?}");
        };
        assert_eq!(pixel.kind, PixelKind::Page, "{store}");
        assert_eq!(pixel.ip.is_some(), *is_kept, "{store}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_page_says_is_sent_whole_and_once() {
    let doors = Doors::open().await;
    let sale = format!(
        "{STUB} hostread('purchase', {{order: '#1041', value: 34.4, currency: 'USD', code: 'Tief & Co.', basket: 3}});"
    );
    let many = format!("{STUB} for (let i = 0; i < 60; i++) hostread('cart', {{id: 'c' + i}});");
    let html = vec![
        page(&doors.url, "sale", &sale, "data-page=off"),
        // From the shop's own address, by a browser without beacons.
        page(
            "",
            "image",
            &format!("navigator.sendBeacon = undefined; {sale}"),
            "data-page=off",
        ),
        page(&doors.url, "many", &many, "data-page=off data-consent=wait"),
    ];
    let gateway = doors.url.clone();
    let said = tokio::task::spawn_blocking(move || visit(&gateway, &html)).await;
    assert_eq!(said.unwrap(), "hostread: unknown field basket\n".repeat(2));
    let seen = pixels(&doors).await;
    for store in ["sale", "image"] {
        let [pixel] = seen.get(store).map(Vec::as_slice).unwrap_or_default() else {
            panic!("{store}: {seen:?}");
        };
        assert_eq!(pixel.kind, PixelKind::Purchase);
        assert_eq!(pixel.order.as_deref(), Some("#1041"));
        assert_eq!(pixel.value, Some(MoneyMicros(34_400_000)));
        assert_eq!(pixel.code.as_deref(), Some("Tief & Co."));
        assert!(pixel.ip.is_some());
    }
    assert_eq!(seen["many"].len(), 50, "the newest ones");
}

#[tokio::test]
async fn the_tag_is_small_and_may_be_kept_for_an_hour() {
    let doors = Doors::open().await;
    let tag = doors.get("/v1/tag.js").await;
    assert_eq!(tag.status, 200);
    assert!(
        tag.bytes.len() <= TAG_BYTES_MAX,
        "{} bytes",
        tag.bytes.len()
    );
    assert_eq!(
        tag.headers["content-type"],
        "text/javascript; charset=utf-8"
    );
    assert_eq!(tag.headers["cache-control"], "public, max-age=3600");
    assert_eq!(tag.headers["cross-origin-resource-policy"], "cross-origin");
}
