//! What readings of a feed make of a catalog.
#![allow(clippy::unwrap_used, reason = "tests panic")]
use super::*;
use hostread_connectors::feed::{Chapter, Feed, Item, LeftOut};
use hostread_connectors_kit::audio::Container;
use serde_json::json;

const FEED: &str = "https://feeds.example.com/daily";
const NOW: EventTimeMs = EventTimeMs(1_794_744_000_000);

fn item(guid: &str, path: &str, published: Option<&str>) -> Item {
    Item {
        guid: guid.to_owned(),
        title: guid.to_uppercase(),
        published_at: published.and_then(EventTimeMs::from_rfc3339),
        enclosure: format!("https://cdn.example.com{path}"),
        path: path.to_owned(),
        length: Some(2_000_000),
        seconds: Some(120),
        ..Item::default()
    }
}

fn read(file: &mut CatalogFile, items: &[Item]) -> Merged {
    let state = FeedState {
        show: "daily".to_owned(),
        title: "Daily".to_owned(),
        ..FeedState::default()
    };
    let feed = Feed {
        items: items.to_vec(),
        ..Feed::default()
    };
    merge(file, FEED, state, feed)
}

fn audio(rate: Option<u32>) -> Audio {
    Audio {
        container: Container::Mp3,
        size_bytes: 1_920_300,
        header_bytes: 300,
        audio_bytes: 1_920_000,
        constant_rate: rate,
        duration_ms: 120_000,
        sampled: false,
    }
}

#[test]
fn later_dates_change_nothing_and_nothing_is_lost() {
    let mut file = CatalogFile::default();
    let first = item("one", "/1.mp3", Some("2026-11-01T10:00:00Z"));
    let merged = read(&mut file, &[first.clone(), item("two", "/2.mp3", None)]);
    assert_eq!((merged.new, merged.same), (vec![0, 1], 0));
    // Published again, and the other one gone.
    let later = item("one", "/1.mp3", Some("2026-11-09T10:00:00Z"));
    let merged = read(&mut file, &[later]);
    assert_eq!((merged.changed.len(), merged.same), (0, 1));
    assert_eq!(file.episodes.len(), 2);
    let date = |place: usize| file.episodes[place].published_at.as_deref();
    assert_eq!((date(0), date(1)), (Some("2026-11-01T10:00:00.000Z"), None));
    // A first date that comes later is the first.
    let merged = read(
        &mut file,
        &[item("two", "/2.mp3", Some("2026-11-02T10:00:00Z"))],
    );
    assert_eq!(merged.changed, [1]);
}

#[test]
fn what_a_file_said_holds_until_the_feed_names_another() {
    let mut file = CatalogFile::default();
    let one = item("one", "/1.mp3", None);
    read(&mut file, std::slice::from_ref(&one));
    assert_eq!(file.episodes[0].size_bytes, 2_000_000);
    file.episodes[0].found(&audio(Some(128_000)));
    assert_eq!(read(&mut file, std::slice::from_ref(&one)).same, 1);
    assert_eq!(file.episodes[0].size_bytes, 1_920_300);
    // Another prefix around it is the same file.
    let mut wrapped = one.clone();
    wrapped.enclosure = "https://op3.dev/e/cdn.example.com/1.mp3".to_owned();
    assert_eq!(read(&mut file, &[wrapped]).changed, [0]);
    assert!(file.episodes[0].probed);
    let moved = item("one", "/new/1.mp3", None);
    read(&mut file, &[moved]);
    let episode = &file.episodes[0];
    assert!(!episode.probed);
    assert_eq!(
        (episode.size_bytes, episode.id3_bytes, episode.bit_rate),
        (2_000_000, 0, None)
    );
    assert_eq!(
        (episode.path.as_str(), &episode.former_paths[..]),
        ("/new/1.mp3", &["/1.mp3".to_owned()][..])
    );
    // Its old address is still its own.
    let merged = read(&mut file, &[item("other", "/1.mp3", None)]);
    assert_eq!(merged.refused.len(), 1);
    read(&mut file, &[item("one", "/1.mp3", None)]);
    assert_eq!(file.episodes[0].former_paths, ["/new/1.mp3"]);
}

/// An item with other paths of its file, and with one of another file.
fn offered(guid: &str, path: &str, alternates: &[&str], left_out: &[&str]) -> Item {
    let out = |path: &&str| LeftOut {
        address: format!("https://cdn.example.com{path}"),
        path: (*path).to_owned(),
        why: "is another",
    };
    Item {
        alternate_paths: alternates.iter().map(|path| (*path).to_owned()).collect(),
        left_out: left_out.iter().map(out).collect(),
        ..item(guid, path, None)
    }
}

#[test]
fn the_same_file_elsewhere_is_the_episode() {
    let mut file = CatalogFile::default();
    let one = offered("one", "/1.mp3", &["/copy/1.mp3"], &["/1.opus"]);
    let merged = read(&mut file, std::slice::from_ref(&one));
    assert_eq!((merged.new, merged.alternates), (vec![0], 1));
    let left_out = [(
        "one".to_owned(),
        "https://cdn.example.com/1.opus is another".to_owned(),
    )];
    assert_eq!(merged.left_out, left_out);
    let enclosures = |file: &CatalogFile| {
        events(&CatalogFile::default(), file, NOW).unwrap()[0]["enclosures"].clone()
    };
    assert_eq!(enclosures(&file), json!(["/1.mp3", "/copy/1.mp3"]));
    // What the file says is of both; the same again is the same.
    file.episodes[0].found(&audio(Some(128_000)));
    let merged = read(&mut file, &[one]);
    assert_eq!((merged.same, merged.alternates), (1, 0));
    assert!(file.episodes[0].probed);
    // Another copy is a change; one that the feed names no longer is still asked for.
    let merged = read(
        &mut file,
        &[offered("one", "/1.mp3", &["/third/1.mp3"], &[])],
    );
    assert_eq!((merged.changed, merged.alternates), (vec![0], 1));
    assert!(file.episodes[0].probed);
    assert_eq!(
        file.episodes[0].alternate_paths,
        ["/copy/1.mp3", "/third/1.mp3"]
    );
    let again = CatalogFile::parse(&serde_json::to_vec(&file).unwrap()).unwrap();
    assert_eq!(enclosures(&again), enclosures(&file));
    // It moves to one of them: each path stands once.
    read(
        &mut file,
        &[offered("one", "/copy/1.mp3", &["/1.mp3"], &[])],
    );
    assert_eq!(
        enclosures(&file),
        json!(["/copy/1.mp3", "/1.mp3", "/third/1.mp3"])
    );
}

#[test]
fn a_path_is_given_back_when_the_feed_has_it_for_something_else() {
    let mut file = CatalogFile::default();
    let paths = ["/a", "/b", "/c"];
    read(&mut file, &[offered("one", "/1.mp3", &paths, &[])]);
    // One is another file now, one the enclosure of an episode that stands before it.
    let two = offered("two", "/b", &[], &[]);
    let merged = read(&mut file, &[two, offered("one", "/1.mp3", &[], &["/a"])]);
    assert_eq!((merged.new, merged.changed), (vec![1], vec![0]));
    assert_eq!(merged.refused, []);
    assert_eq!(file.episodes[0].alternate_paths, ["/c"]);
    // Nor is a path of one episode ever a second one of another, also of a show that is elsewhere.
    file.episodes[1].show = "weekly".to_owned();
    let merged = read(
        &mut file,
        &[offered(
            "three",
            "/3.mp3",
            &["/1.mp3", "/b", "/c", "/3"],
            &[],
        )],
    );
    assert_eq!((merged.alternates, merged.left_out.len()), (1, 3));
    assert_eq!(file.episodes[2].alternate_paths, ["/3"]);
    let merged = read(&mut file, &[item("four", "/3", None)]);
    assert_eq!(merged.refused, [], "an enclosure takes it");
    assert_eq!(file.episodes[2].alternate_paths, [""; 0]);
}

#[test]
fn alternate_paths_have_a_bound() {
    let mut file = CatalogFile::default();
    for turn in 0..3 {
        let paths: Vec<String> = (0..20).map(|n| format!("/{turn}/{n}")).collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let merged = read(&mut file, &[offered("one", "/1.mp3", &paths, &[])]);
        assert_eq!(merged.alternates, [20, 12, 0][turn]);
        assert_eq!(merged.left_out.len(), [0, 8, 20][turn]);
    }
    assert_eq!(file.episodes[0].alternate_paths.len(), 32);
    assert_eq!(file.episodes[0].alternate_paths[0], "/0/0");
}

#[test]
fn what_a_person_wrote_stays() {
    let text = json!({"note": "ours", "episodes": [{"id": "one", "path": "/1.mp3", "bit_rate": 96000, "seconds": 100, "size_bytes": 777,
        "id3_bytes": 5, "rights": "all", "ads": [{"kind": "own", "first_byte": 9, "last_byte": 19}]}]});
    let mut file = CatalogFile::parse(text.to_string().as_bytes()).unwrap();
    read(&mut file, &[item("one", "/1.mp3", None)]);
    file.episodes[0].place_ads(&BTreeMap::new());
    let json = serde_json::to_value(&file).unwrap();
    let episode = &json["episodes"][0];
    assert_eq!(
        (&json["note"], &episode["rights"]),
        (&json!("ours"), &json!("all"))
    );
    assert_eq!(
        (
            &episode["size_bytes"],
            &episode["bit_rate"],
            &episode["seconds"]
        ),
        (&json!(777), &json!(96_000), &json!(100))
    );
    assert_eq!(
        episode["ads"],
        json!([{"kind": "own", "first_byte": 9, "last_byte": 19}])
    );
    assert_eq!(episode["show"], "daily");
    let again = CatalogFile::parse(json.to_string().as_bytes()).unwrap();
    assert_eq!(serde_json::to_value(&again).unwrap(), json);
}

fn fern() -> BTreeMap<String, String> {
    BTreeMap::from([("fern".to_owned(), "line-7".to_owned())])
}

/// A first episode with an ad from 10 to 40 s.
fn with_ad() -> CatalogFile {
    let mut file = CatalogFile::default();
    let mut one = item("one", "/1.mp3", None);
    let chapter = |start_ms, title: &str| Chapter {
        start_ms,
        end_ms: None,
        title: title.to_owned(),
    };
    // How long it is says the file only.
    one.seconds = None;
    one.chapters = vec![
        chapter(10_000, "Ad: Fern"),
        chapter(40_000, "Back"),
        chapter(110_000, "Promo"),
    ];
    read(&mut file, &[one]);
    file
}

#[test]
fn ads_lie_where_the_bytes_are() {
    let mut file = with_ad();
    let lines = fern();
    let episode = &mut file.episodes[0];
    episode.place_ads(&lines);
    assert_eq!(episode.ads, [], "nobody knows where its sound begins");
    for rate in [Some(128_000), None] {
        episode.found(&audio(rate));
        episode.place_ads(&lines);
        let [ad, last] = &episode.ads[..] else {
            panic!("{:?}", episode.ads)
        };
        assert_eq!((last.first_byte, last.last_byte), (1_760_300, 1_920_299));
        assert_eq!(
            (ad.first_byte, ad.last_byte),
            (160_300, 640_299),
            "{rate:?}"
        );
        assert_eq!(
            (ad.kind.as_str(), ad.line.as_deref()),
            ("Ad: Fern", Some("line-7"))
        );
    }
}

#[test]
fn only_what_differs_is_an_event() {
    let mut file = with_ad();
    file.episodes[0].found(&audio(Some(128_000)));
    file.episodes[0].place_ads(&fern());
    let kinds = |before: &CatalogFile, after: &CatalogFile| -> Vec<String> {
        let events = events(before, after, NOW).unwrap();
        events
            .iter()
            .map(|event| event["type"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        kinds(&CatalogFile::default(), &file),
        ["episode", "show", "slot"]
    );
    assert_eq!(kinds(&file, &file), [""; 0]);
    let all = events(&CatalogFile::default(), &file, NOW).unwrap();
    let later = events(&CatalogFile::default(), &file, EventTimeMs(NOW.0 + 1)).unwrap();
    assert!(
        all.iter()
            .zip(&later)
            .all(|(one, other)| one["id"] != other["id"])
    );
    assert_eq!(all[0]["enclosures"], json!(["/1.mp3"]));
    assert_eq!(
        (&all[0]["header_bytes"], &all[0]["bit_rate"]),
        (&json!(300), &json!(128_000))
    );
    assert_eq!(all[2]["slot"], "daily/one/line-7/1");
    // The ad is gone: its slot is withdrawn.
    let mut without = file.clone();
    without.episodes[0].marks.clear();
    without.episodes[0].place_ads(&BTreeMap::new());
    let gone = events(&file, &without, NOW).unwrap();
    assert_eq!((gone.len(), &gone[0]["removed"]), (1, &json!(true)));
    // A file that nobody probed again: the same feed, another title.
    let mut renamed = file.clone();
    renamed.episodes[0].title = "Else".to_owned();
    assert_eq!(kinds(&file, &renamed), ["episode"]);
}
