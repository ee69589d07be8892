//! What is beside an enclosure: the same file, another one, none that is fetched.
use super::*;
use hostread_connectors_kit::text::enclosure_path;
use std::fmt::Write as _;

const ALTERNATES: &str = include_str!("../fixtures/alternates.xml");

fn left_out(item: &Item) -> Vec<(&str, &str)> {
    let all = item.left_out.iter();
    all.map(|out| (out.path.as_str(), out.why)).collect()
}

/// An item of 10 seconds with an enclosure of 160,000 bytes, so of 128,000 bits a second, and what is beside it.
fn beside(inside: &str) -> Item {
    item(&format!(
        "<enclosure url='https://a.example/e.mp3' length='160000' type='audio/mpeg'/>{inside}<itunes:duration>10</itunes:duration>"
    ))
}

fn alternate(attributes: &str) -> Item {
    beside(&format!(
        "<podcast:alternateEnclosure {attributes}><podcast:source uri='https://b.example/f.mp3'/></podcast:alternateEnclosure>"
    ))
}

#[test]
fn the_same_file_elsewhere_is_taken_and_all_else_is_named_or_counted() {
    let feed = read(ALTERNATES.as_bytes()).unwrap();
    assert_eq!(feed.refused, []);
    let [two, one] = &feed.items[..] else {
        panic!("{:?}", feed.items)
    };
    assert_eq!(two.path, "/ways/2.mp3");
    assert_eq!(two.alternate_paths, ["/copy/2 b.mp3", "/ways-2.mp3"]);
    assert_eq!(
        left_out(two),
        [
            ("/ways/2.opus", "is of another type than the enclosure"),
            ("/ways/2-high.mp3", "has another length than the enclosure"),
            (
                "/ways/2-copied.mp3",
                "has another bit rate than the enclosure"
            ),
            (
                "/ways/2-unknown.mp3",
                "does not say that it is the file of the enclosure"
            ),
        ]
    );
    assert_eq!(
        two.left_out[0].address,
        "https://media.example.com/ways/2.opus"
    );
    assert_eq!(one.alternate_paths, ["/1.mp3"]);
    assert_eq!(
        left_out(one),
        [
            (
                "/get.php",
                "is another file with the path of the enclosure: logs cannot tell them apart"
            ),
            ("", "is not UTF-8 once it is decoded"),
            (
                "/ways/2.mp3",
                "has the path of another item: logs cannot tell them apart"
            ),
        ]
    );
    let others = Others {
        not_audio: 2,
        not_http: 2,
        beyond: 0,
    };
    assert_eq!(feed.others, others);
}

#[test]
fn what_says_that_a_file_is_the_same() {
    for same in [
        "type='audio/mpeg' length='160000'",
        "type='Audio/X-MP3; codecs=\"mp3\"' length=' 160000 '",
        "type='audio/mpeg' length='160000' bitrate='128000'",
        "type='audio/mpeg' length='160000' bitrate='116400.9'",
        "type='audio/mpeg' length='160000' bitrate='140000'",
        "type='audio/mpeg' length='160000' bitrate='much'",
        "type='audio/mpeg' default='True'",
        "type='audio/mpeg' default='true' length='0' bitrate='128000'",
    ] {
        let item = alternate(same);
        assert_eq!(item.alternate_paths, ["/f.mp3"], "{same}");
        assert_eq!(item.left_out, [], "{same}");
    }
    for (other, why) in [
        ("type='audio/mp4' default='true' length='160000'", "type"),
        ("type='audio/mpeg' default='true' length='160001'", "length"),
        (
            "type='audio/mpeg' length='160000' bitrate='115000'",
            "bit rate",
        ),
        (
            "type='audio/mpeg' length='160000' bitrate='143000'",
            "bit rate",
        ),
        (
            "type='audio/mpeg' default='true' bitrate='64000'",
            "bit rate",
        ),
        ("type='audio/mpeg' default='false'", "does not say"),
        ("type='audio/mpeg' bitrate='128000'", "does not say"),
    ] {
        let item = alternate(other);
        assert_eq!(item.alternate_paths, [""; 0], "{other}");
        let [out] = &item.left_out[..] else {
            panic!("{other}: {:?}", item.left_out)
        };
        assert!(out.why.contains(why), "{other}: {}", out.why);
    }
    // Of an enclosure whose size nobody knows no size is the same.
    let unknown = item(
        "<enclosure url='https://a.example/e.mp3' length='0' type='audio/mpeg'/>\
        <podcast:alternateEnclosure type='audio/mpeg' length='5'><podcast:source uri='https://b.example/f.mp3'/></podcast:alternateEnclosure>",
    );
    assert_eq!(left_out(&unknown)[0].0, "/f.mp3");
}

/// Several enclosures are not in the rules of RSS, and how Atom says it.
#[test]
fn further_enclosures_are_beside_the_first() {
    let film = "<enclosure url='https://a.example/e.mp4' length='9' type='video/mp4'/>";
    let again = "<enclosure url='https://b.example/f.mp3' length='160000' type='audio/mpeg'/>";
    let small = "<enclosure url='https://b.example/f.ogg' length='160000' type='audio/ogg'/>";
    let feed = |inside: &str| {
        let first = "<enclosure url='https://a.example/e.mp3' length='160000' type='audio/mpeg'/>";
        read(of_item(&inside.replace("SOUND", first)).as_bytes()).unwrap()
    };
    let [one, other] = [
        feed(&format!("{film}SOUND{again}{small}")),
        feed(&format!("SOUND{small}{film}{again}")),
    ];
    for feed in [&one, &other] {
        let item = &feed.items[0];
        assert_eq!((&*item.path, item.is_sound), ("/e.mp3", true));
        assert_eq!(item.alternate_paths, ["/f.mp3"]);
        assert_eq!(
            left_out(item),
            [("/f.ogg", "is of another type than the enclosure")]
        );
        assert_eq!(feed.others.not_audio, 1);
    }
    let link = |path: &str| {
        format!(
            "<link rel='enclosure' href='https://a.example{path}' type='audio/mpeg' length='5'/>"
        )
    };
    let entry = format!("<feed><entry>{}{}</entry></feed>", link("/a"), link("/b"));
    let entry = &read(entry.as_bytes()).unwrap().items[0];
    assert_eq!(
        (&*entry.path, &entry.alternate_paths[..]),
        ("/a", &["/b".to_owned()][..])
    );
}

#[test]
fn a_path_of_two_items_or_two_files_is_of_none() {
    let of = |guid: &str, sources: &str| {
        format!(
            "<item><guid>{guid}</guid><enclosure url='https://a.example/{guid}' type='audio/mpeg'/>\
            <podcast:alternateEnclosure type='audio/mpeg' default='true'>{sources}</podcast:alternateEnclosure></item>"
        )
    };
    let source = |path: &str| format!("<podcast:source uri='https://b.example/{path}'/>");
    let feed = format!(
        "<rss><channel>{}{}</channel></rss>",
        of(
            "one",
            &(source("get?one") + &source("own-1") + &source("two"))
        ),
        of(
            "two",
            &(source("get?two") + &source("own-2") + &source("own-2?again"))
        ),
    );
    let feed = read(feed.as_bytes()).unwrap();
    let [one, two] = &feed.items[..] else {
        panic!("{feed:?}")
    };
    assert_eq!(one.alternate_paths, ["/own-1"]);
    assert_eq!(two.alternate_paths, ["/own-2"]);
    let paths =
        |item: &Item| -> Vec<String> { item.left_out.iter().map(|out| out.path.clone()).collect() };
    assert_eq!(
        (paths(one), paths(two)),
        (
            vec!["/get".to_owned(), "/two".to_owned()],
            vec!["/get".to_owned()]
        )
    );
    let both = beside(
        "<enclosure url='https://b.example/get?file=mp3' length='160000' type='audio/mpeg'/>\
        <enclosure url='https://b.example/get?file=ogg' length='90000' type='audio/ogg'/>",
    );
    assert_eq!(both.alternate_paths, [""; 0]);
    assert_eq!(both.left_out.len(), 2);
}

#[test]
fn too_many_and_too_long() {
    let long = "x".repeat(3_000);
    let long = beside(&format!(
        "<enclosure url='https://b.example/{long}' length='160000' type='audio/mpeg'/>"
    ));
    assert_eq!(left_out(&long), [("", "is an address over 2,048 bytes")]);
    assert_eq!(long.left_out[0].address.len(), 2_048);
    let mut many = "<podcast:alternateEnclosure type='audio/mpeg' default='true'>".to_owned();
    for n in 0..ALTERNATES_MAX + 3 {
        write!(many, "<podcast:source uri='https://b.example/{n}'/>").unwrap();
    }
    let feed = read(of_item(&format!("{SOUND}{many}</podcast:alternateEnclosure>")).as_bytes());
    let feed = feed.unwrap();
    assert_eq!(feed.items[0].alternate_paths.len(), ALTERNATES_MAX);
    assert_eq!(feed.others.beyond, 3);
    // All of them fit into one event.
    let event = episode("daily", &feed.items[0]);
    assert_eq!(event.enclosures.len(), 1 + ALTERNATES_MAX);
    assert_eq!(event.enclosures[0], "/e.mp3");
}

#[derive(Clone, Debug)]
struct Offered {
    host: u8,
    scheme: &'static str,
    kind: &'static str,
    length: u64,
    default: bool,
}

fn offered() -> impl Strategy<Value = Offered> {
    let scheme = prop::sample::select(vec!["https", "HTTP", "ipfs"]);
    let kind = prop::sample::select(vec![
        "audio/mpeg",
        "audio/mp3",
        "audio/opus",
        "video/mp4",
        "",
    ]);
    (0..4_u8, scheme, kind, 0..3_u64, any::<bool>()).prop_map(
        |(host, scheme, kind, length, default)| Offered {
            host,
            scheme,
            kind,
            length,
            default,
        },
    )
}

proptest! {
    /// Each address is taken, named or counted, and none is taken that the feed gives another length or type.
    #[test]
    fn nothing_is_lost_and_no_other_file_is_taken(offers in prop::collection::vec(offered(), 0..12), length in 0..3_u64) {
        let mut inside = format!("<enclosure url='https://a.example/0' length='{length}' type='audio/mpeg'/>");
        for Offered { host, scheme, kind, length, default } in &offers {
            write!(inside, "<podcast:alternateEnclosure type='{kind}' length='{length}' default='{default}'><podcast:source uri='{scheme}://a.example/{host}'/></podcast:alternateEnclosure>").unwrap();
        }
        let feed = read(of_item(&inside).as_bytes()).unwrap();
        let (item, others) = (&feed.items[0], feed.others);
        let audio = |offer: &Offered| offer.kind.starts_with("audio/");
        prop_assert_eq!(others.not_audio, offers.iter().filter(|offer| !audio(offer)).count() as u64);
        prop_assert_eq!(others.not_http, offers.iter().filter(|offer| audio(offer) && offer.scheme == "ipfs").count() as u64);
        for offer in offers.iter().filter(|offer| audio(offer) && offer.scheme != "ipfs") {
            let path = format!("/{}", offer.host);
            let known = offer.length != 0 && length != 0;
            let same = offer.kind != "audio/opus" && if known { offer.length == length } else { offer.default };
            let taken = path == item.path || item.alternate_paths.contains(&path);
            let named = item.left_out.iter().any(|out| out.path == path);
            prop_assert!(taken || named);
            // Taken is a path when every file behind it is the same.
            if !same && path != item.path {
                prop_assert!(!taken);
            }
        }
        let mut paths = item.alternate_paths.clone();
        paths.sort_unstable();
        paths.dedup();
        prop_assert_eq!(paths.len(), item.alternate_paths.len());
        prop_assert!(!paths.contains(&item.path));
    }

    #[test]
    fn any_damage_to_alternates_is_a_feed_or_an_error(at in 0..4_000_usize, bytes in prop::collection::vec(any::<u8>(), 0..20)) {
        let mut feed = ALTERNATES.as_bytes().to_vec();
        let at = at.min(feed.len());
        let end = (at + bytes.len()).min(feed.len());
        feed.splice(at..end, bytes);
        let Ok(feed) = read(&feed) else { return Ok(()) };
        for item in feed.items {
            prop_assert!(item.alternate_paths.len() + item.left_out.len() <= ALTERNATES_MAX);
            let path = enclosure_path(&item.enclosure);
            prop_assert_eq!(path.as_deref(), Some(item.path.as_str()));
        }
    }
}
