//! Feeds as they are, and as they should not be.
#![allow(clippy::unwrap_used, reason = "tests panic")]

mod alternates;
mod atom;

use super::*;
use hostread_connectors_kit::conformance::{Expect, Fixture, check};
use proptest::prelude::*;

const SHOW: &str = include_str!("fixtures/show.xml");
const CHAPTERS: &[u8] = include_bytes!("fixtures/chapters.json");

fn show() -> Feed {
    read(SHOW.as_bytes()).unwrap()
}

/// A feed of one item, with what is in it.
fn of_item(inside: &str) -> String {
    format!("<rss><channel><title>s</title><item>{inside}</item></channel></rss>")
}

fn item(inside: &str) -> Item {
    let mut feed = read(of_item(inside).as_bytes()).unwrap();
    assert_eq!(feed.refused, []);
    feed.items.remove(0)
}

const SOUND: &str = r#"<enclosure url="https://a.example/e.mp3" length="5" type="audio/mpeg"/>"#;

#[test]
fn conformance() {
    let at = |body: String, expect| {
        Fixture::new(body.clone(), body, expect)
            .with("show", "daily")
            .with("time", "1794744000000")
    };
    let fixtures = [
        at(
            of_item(&format!("<guid>e</guid>{SOUND}")),
            Expect::Event("episode"),
        ),
        at(
            of_item(&format!(
                "{SOUND}<pubDate>Tue, 10 Nov 2026 05:00:00 -0500</pubDate>"
            )),
            Expect::Event("episode"),
        ),
        at("<rss><channel/></rss>".to_owned(), Expect::Nothing),
        at(of_item("<guid>e</guid>"), Expect::Rejected("item")),
        at("<feed/>".to_owned(), Expect::Nothing),
        at("<opml/>".to_owned(), Expect::Rejected("feed")),
        at("<rss><channel>".to_owned(), Expect::Rejected("feed")),
        Fixture::new("no time", of_item(SOUND), Expect::Rejected("date")).with("show", "daily"),
        Fixture::new("no show", of_item(SOUND), Expect::Rejected("item")).with("time", "1"),
    ];
    check(&FeedConnector, &fixtures, &[]);
}

#[test]
fn a_feed_as_hosts_write_them() {
    let feed = show();
    assert_eq!(feed.title, "Daily & Brew");
    assert_eq!(
        feed.guid.as_deref(),
        Some("917393e3-1b1e-5cef-ace4-edaa54e1f810")
    );
    let [three, two, one] = &feed.items[..] else {
        panic!("{:?}", feed.items)
    };
    assert_eq!(
        *three,
        Item {
            guid: "daily-3".to_owned(),
            title: "Three: beans & <tea>".to_owned(),
            published_at: EventTimeMs::from_rfc3339("2026-11-10T10:00:00Z"),
            enclosure: "https://op3.dev/e/https://cdn.example.com/daily/3%20a.mp3?src=feed&x=1"
                .to_owned(),
            is_sound: true,
            path: "/daily/3 a.mp3".to_owned(),
            alternate_paths: Vec::new(),
            left_out: Vec::new(),
            length: Some(43_508_213),
            seconds: Some(2_710),
            chapters_url: Some("https://cdn.example.com/daily/3.json".to_owned()),
            chapters: Vec::new(),
        }
    );
    // The sound and not the film; a length of 0 is none.
    assert_eq!(
        (two.guid.as_str(), two.length, two.seconds),
        ("daily-2", None, Some(2_710))
    );
    assert_eq!(two.path, "/e/cdn.example.com/daily/2.mp3");
    let ad = Chapter {
        start_ms: 600_500,
        end_ms: None,
        title: "Ad: Fern & Co".to_owned(),
    };
    assert_eq!(two.chapters.get(1), Some(&ad));
    assert_eq!(
        (one.guid.as_str(), one.published_at),
        ("https://cdn.example.com/daily/1.m4a", None)
    );
    let refused: Vec<_> = feed
        .refused
        .iter()
        .map(|item| (item.number, item.name.as_str(), item.why))
        .collect();
    assert_eq!(
        refused,
        [
            (4, "letter-1", "has no enclosure"),
            (5, "daily-2", "has the GUID of another item"),
            (
                6,
                "daily-3b",
                "has the path of another item: logs cannot tell them apart"
            ),
            (7, "daily-0", "has an enclosure that is no address"),
        ]
    );
}

#[test]
fn chapters_that_are_ads() {
    let chapters = read_chapters(CHAPTERS).unwrap();
    let found = ads(&chapters, 2_710_000);
    let found: Vec<_> = found
        .iter()
        .map(|ad| (ad.title.as_str(), ad.start_ms, ad.end_ms))
        .collect();
    assert_eq!(
        found,
        [
            ("Sponsor: Northwind", 60_250, 120_500),
            ("Mid-roll", 1_800_000, 1_860_000),
            ("[Ad] Fern", 2_700_000, 2_710_000),
        ]
    );
    assert_eq!(
        ads(&chapters, 1_800_000).len(),
        1,
        "what begins behind the end is none"
    );
    assert_eq!(ads(&show().items[1].chapters, 2_710_000).len(), 1);
    for odd in ["{}", r#"{"chapters":[{"startTime":"1"}]}"#, "[]"] {
        assert!(read_chapters(odd.as_bytes()).is_err());
    }
    let odd = br#"{"chapters":[{"startTime":-5,"endTime":1e300,"title":"ad"}]}"#;
    let odd = ads(&read_chapters(odd).unwrap(), 1_000);
    assert_eq!((odd[0].start_ms, odd[0].end_ms), (0, 1_000));
}

#[test]
fn times_and_lengths() {
    let at = |text: &str| item(&format!("{SOUND}<pubDate>{text}</pubDate>")).published_at;
    let ten = EventTimeMs::from_rfc3339("2026-11-10T10:00:00Z");
    for text in [
        "Tue, 10 Nov 2026 10:00:00 GMT",
        "10 Nov 2026 05:00:00 EST",
        "Fri, 10 Nov 2026 12:00:00 +0200",
        " 2026-11-10T11:00:00+01:00 ",
    ] {
        assert_eq!(at(text), ten, "{text}");
    }
    for text in [
        "",
        "10.11.2026",
        "Tue, 10 Nov 1026 10:00:00 GMT",
        "Tue, 10 Nov 9026 10:00:00 GMT",
    ] {
        assert_eq!(at(text), None, "{text}");
    }
    let seconds =
        |text: &str| item(&format!("{SOUND}<itunes:duration>{text}</itunes:duration>")).seconds;
    for (text, found) in [
        ("3600", Some(3_600)),
        ("60:00", Some(3_600)),
        ("1:00:00", Some(3_600)),
        ("3600.9", Some(3_600)),
        ("1:2:3:4", None),
        ("-5", None),
        ("99999999999999999999", None),
        ("99999999999999", None),
        ("an hour", None),
        ("", None),
    ] {
        assert_eq!(seconds(text), found, "{text}");
    }
}

#[test]
fn encodings() {
    let latin = b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><rss><channel><title>Caf\xE9</title></channel></rss>";
    assert_eq!(read(latin).unwrap().title, "Café");
    assert_eq!(
        read(b"<rss><channel><title>Caf\xE9</title></channel></rss>"),
        Err(FeedError::Text)
    );
    assert_eq!(read(b"\xFF\xFE<\0r\0s\0s\0"), Err(FeedError::Text));
    let marked =
        b"\xEF\xBB\xBF<rss><channel><title>&#x43;af&eacute; &amp &#xD800;</title></channel></rss>";
    assert_eq!(read(marked).unwrap().title, "Caf&eacute; &amp &#xD800;");
}

#[test]
fn entities_do_not_grow() {
    let laughs = r#"<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY a "haha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c SYSTEM "file:///etc/passwd">]>
        <rss><channel><title>&b;&c;</title></channel></rss>"#;
    assert_eq!(read(laughs.as_bytes()).unwrap().title, "&b;&c;");
}

#[test]
fn what_is_no_feed_is_said() {
    for (text, said) in [
        ("", "the feed breaks off"),
        ("no", "the feed breaks off"),
        ("<rss><channel><item>", "the feed breaks off"),
        (
            "<html><body/></html>",
            "the feed is no RSS 2.0 and no Atom 1.0: it begins with <html>",
        ),
        ("<rss><channel></item></rss>", "the feed is no XML at byte"),
        ("<rss><channel", "the feed is no XML at byte"),
    ] {
        let error = read(text.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(said), "{text}: {error}");
    }
    let deep = "<a>".repeat(100);
    assert_eq!(
        read(format!("<rss>{deep}").as_bytes()),
        Err(FeedError::Deep(64))
    );
}

#[test]
fn what_is_too_much_is_cut_or_refused() {
    let mut feed = "<rss><channel>".to_owned();
    for n in 0..ITEMS_MAX + 3 {
        feed += "<item><enclosure url='https://a.example/";
        feed += &n.to_string();
        feed += ".mp3'/></item>";
    }
    let feed = read(format!("{feed}</channel></rss>").as_bytes()).unwrap();
    assert_eq!((feed.items.len(), feed.items_beyond), (ITEMS_MAX, 3));
    let long = "x".repeat(9_000);
    let cut = item(&format!("<title>{long}</title>{SOUND}"));
    assert_eq!(cut.title.len(), 512);
    for (inside, why) in [
        (
            format!("<guid>{long}</guid>{SOUND}"),
            "has a GUID over 512 bytes",
        ),
        (
            format!("<guid>e</guid><enclosure url='https://a.example/{long}'/>"),
            "has an enclosure over 2,048 bytes",
        ),
    ] {
        let feed = read(of_item(&inside).as_bytes()).unwrap();
        assert_eq!(feed.refused[0].why, why);
    }
}

proptest! {
    #[test]
    fn any_damage_is_a_feed_or_an_error(at in 0..3_000_usize, bytes in prop::collection::vec(any::<u8>(), 0..20), cut in 0..4_000_usize) {
        let mut feed = SHOW.as_bytes().to_vec();
        let at = at.min(feed.len());
        let end = (at + bytes.len()).min(feed.len());
        feed.splice(at..end, bytes);
        read(&feed).ok();
        feed.truncate(cut);
        read(&feed).ok();
    }
}
