//! Atom, as feeds of it are and as they should not be.
use super::*;
use std::fmt::Write as _;

const ATOM: &str = include_str!("../fixtures/atom.xml");

/// A feed of one entry, with what is in it.
fn of_entry(inside: &str) -> String {
    format!(
        "<feed xmlns='http://www.w3.org/2005/Atom'><title>s</title><entry>{inside}</entry></feed>"
    )
}

fn entry(inside: &str) -> Item {
    let mut feed = read(of_entry(inside).as_bytes()).unwrap();
    assert_eq!(feed.refused, []);
    feed.items.remove(0)
}

const LINK: &str =
    "<link rel='enclosure' href='https://a.example/e.mp3' type='audio/mpeg' length='5'/>";

#[test]
fn a_feed_of_atom_says_what_one_of_rss_does() {
    let feed = read(ATOM.as_bytes()).unwrap();
    assert_eq!(feed.title, "Harbour & Tide");
    assert_eq!(
        feed.guid.as_deref(),
        Some("5f0a1c52-6c1f-5c4f-9a3e-1f4f0f2b7a11")
    );
    assert_eq!(
        feed.moved_to.as_deref(),
        Some("https://feeds.example.org/harbour-2")
    );
    let [three, two, one] = &feed.items[..] else {
        panic!("{:?}", feed.items)
    };
    let expected = Item {
        guid: "tag:example.org,2026:harbour/3".to_owned(),
        title: "Three: ropes & knots".to_owned(),
        published_at: EventTimeMs::from_rfc3339("2026-11-09T05:30:00Z"),
        enclosure: "https://op3.dev/e/media.example.org/harbour/3%20a.mp3?src=feed&x=1".to_owned(),
        is_sound: true,
        path: "/harbour/3 a.mp3".to_owned(),
        alternate_paths: Vec::new(),
        left_out: Vec::new(),
        length: Some(43_508_213),
        seconds: Some(2_710),
        chapters_url: Some("https://media.example.org/harbour/3.json".to_owned()),
        chapters: Vec::new(),
    };
    assert_eq!(*three, expected);
    assert_eq!(
        (two.title.as_str(), two.path.as_str(), two.length),
        ("Two <fathoms>", "/harbour/2.m4a", None)
    );
    assert_eq!(
        two.published_at,
        EventTimeMs::from_rfc3339("2026-11-03T10:00:00.25Z")
    );
    assert_eq!(ads(&two.chapters, 2_000_000)[0].start_ms, 600_000);
    // Without an id as in RSS; a date that is none is that of the last change.
    assert_eq!(one.guid, "https://media.example.org/harbour/1.mp3");
    assert_eq!(
        (one.published_at, one.length),
        (EventTimeMs::from_rfc3339("2026-10-27T10:00:00Z"), None)
    );
    let refused = feed.refused.iter();
    let refused: Vec<_> = refused
        .map(|one| (one.number, &*one.name, one.why))
        .collect();
    assert_eq!(
        refused,
        [
            (4, "letter", "has no enclosure"),
            (5, "zero", "has an enclosure that is no address"),
            (
                6,
                "again",
                "has the path of another item: logs cannot tell them apart"
            ),
        ]
    );
}

#[test]
fn first_publication_and_not_the_last_change() {
    let dates = [
        "<published>2026-11-01T10:00:00Z</published>",
        "<updated>2026-11-09T10:00:00Z</updated>",
    ];
    let first = EventTimeMs::from_rfc3339("2026-11-01T10:00:00Z");
    for (one, other) in [(0, 1), (1, 0)] {
        let found = entry(&format!("{}{}{LINK}", dates[one], dates[other]));
        assert_eq!(found.published_at, first);
    }
}

#[test]
fn what_makes_a_feed_one_of_atom() {
    let item = |root: &str, end: &str| {
        let text = format!("<{root}><entry><id>e</id>{LINK}</entry></{end}>");
        read(text.as_bytes()).map(|feed| feed.items.len())
    };
    for root in [
        "feed",
        "feed xmlns='http://www.w3.org/2005/Atom'",
        "feed xmlns='HTTP://www.w3.org/2005/Atom'",
    ] {
        assert_eq!(item(root, "feed"), Ok(1), "{root}");
    }
    // The same names in another namespace are other elements.
    assert_eq!(item("atom:feed", "atom:feed"), Ok(0));
    let kind = "feed xmlns=\"http://purl.org/atom/ns#\"";
    let error = item(kind, "feed").unwrap_err();
    assert_eq!(error, FeedError::Root(kind.to_owned()));
    assert_eq!(
        item("x:feed xmlns:x='https://a.example/'", "x:feed"),
        Err(FeedError::Root("feed".to_owned()))
    );
    assert_eq!(read(b"<feed><entry>"), Err(FeedError::Cut));
    assert!(matches!(
        read(b"<feed><entry></feed>"),
        Err(FeedError::Xml { .. })
    ));
    let deep = format!("<feed>{}", "<a>".repeat(64));
    assert_eq!(read(deep.as_bytes()), Err(FeedError::Deep(64)));
}

/// RSS has elements of Atom in it, mostly for its own address.
#[test]
fn elements_of_one_in_the_other_say_nothing() {
    let inside = "<atom:title>other</atom:title><atom:id>other</atom:id><atom:updated>2026-11-09T10:00:00Z</atom:updated>\
        <atom:link rel='enclosure' href='https://a.example/other.mp3' type='audio/mpeg'/>";
    let own = item(&format!("{SOUND}<title>own</title><guid>e</guid>{inside}"));
    assert_eq!(
        (&*own.title, &*own.guid, &*own.path),
        ("own", "e", "/e.mp3")
    );
    assert_eq!(own.published_at, None);
    let declared = "<rss xmlns:x='http://www.w3.org/2005/Atom'><channel><item><x:link rel='enclosure' href='https://a.example/other.mp3'/></item></channel></rss>";
    assert_eq!(
        read(declared.as_bytes()).unwrap().refused[0].why,
        "has no enclosure"
    );
    let prefixed = format!("<atom:feed><item>{SOUND}</item></atom:feed>");
    assert_eq!(read(prefixed.as_bytes()), Ok(Feed::default()));
    let feed = of_entry("<item/><enclosure url='https://a.example/e.mp3'/><guid>e</guid>");
    assert_eq!(
        read(feed.as_bytes()).unwrap().refused[0].why,
        "has no enclosure"
    );
}

#[test]
fn too_much_of_atom_is_cut_or_refused() {
    let mut feed = "<feed>".to_owned();
    for n in 0..ITEMS_MAX + 2 {
        feed += "<entry><link rel='enclosure' href='https://a.example/";
        feed += &n.to_string();
        feed += ".mp3'/></entry>";
    }
    let feed = read(format!("{feed}</feed>").as_bytes()).unwrap();
    assert_eq!((feed.items.len(), feed.items_beyond), (ITEMS_MAX, 2));
    let long = "x".repeat(9_000);
    assert_eq!(
        entry(&format!("<title>{long}</title>{LINK}")).title.len(),
        512
    );
    let feed = read(of_entry(&format!("<id>{long}</id>{LINK}")).as_bytes()).unwrap();
    assert_eq!(feed.refused[0].why, "has a GUID over 512 bytes");
}

proptest! {
    #[test]
    fn any_damage_to_atom_is_a_feed_or_an_error(at in 0..4_000_usize, bytes in prop::collection::vec(any::<u8>(), 0..20), cut in 0..5_000_usize) {
        let mut feed = ATOM.as_bytes().to_vec();
        let at = at.min(feed.len());
        let end = (at + bytes.len()).min(feed.len());
        feed.splice(at..end, bytes);
        read(&feed).ok();
        feed.truncate(cut);
        read(&feed).ok();
    }

    /// The same episodes, in either kind of feed.
    #[test]
    fn both_kinds_of_feed_say_the_same(episodes in prop::collection::vec(("[a-z]{1,3}", "[a-z]{1,3}", 0..3_u64, 0..5_000_u32), 0..8)) {
        let (mut rss, mut atom) = (String::new(), String::new());
        for (guid, path, length, seconds) in &episodes {
            let address = format!("https://a.example/{path}.mp3");
            let rest = format!("<title>{guid}</title><itunes:duration>{seconds}</itunes:duration>");
            write!(rss, "<item><guid>{guid}</guid><pubDate>Tue, 10 Nov 2026 10:00:00 GMT</pubDate>{rest}<enclosure url='{address}' length='{length}' type='audio/mpeg'/></item>").unwrap();
            write!(atom, "<entry><id>{guid}</id><published>2026-11-10T10:00:00Z</published>{rest}<link rel='enclosure' href='{address}' length='{length}' type='audio/mpeg'/></entry>").unwrap();
        }
        let rss = read(format!("<rss><channel><title>s</title>{rss}</channel></rss>").as_bytes()).unwrap();
        let atom = read(format!("<feed><title>s</title>{atom}</feed>").as_bytes()).unwrap();
        prop_assert_eq!(rss.items.len() + rss.refused.len(), episodes.len());
        prop_assert_eq!(rss, atom);
    }
}
