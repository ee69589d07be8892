#![allow(clippy::unwrap_used, reason = "tests panic")]
use super::*;
use hostread_rules::document::shipped;
use jiff::civil::date;

fn list() -> ListFile {
    ListFile {
        file: "bots.json".to_owned(),
        sha256: "ab".repeat(32),
        count: 295,
        date: "2026-08-06".to_owned(),
    }
}

fn page(document: &Document, lists: Lists) -> String {
    let today = date(2026, 11, 22);
    let method = Method::of_document(document, lists, None, today).unwrap();
    method.page(today, &[date(2027, 1, 31), date(2027, 7, 31)])
}

#[test]
fn it_says_everything_that_it_must() {
    let mut document = shipped("2.2").unwrap();
    document.window = Window::LastTouch;
    let entry = |range: &str, expires: &str| Inclusion {
        range: range.to_owned(),
        who: "A. Example".to_owned(),
        when: "2026-11-01".to_owned(),
        evidence: "a letter".to_owned(),
        expires: expires.to_owned(),
    };
    document.inclusion = vec![
        entry("192.0.2.0/24", "2026-12-01"),
        entry("198.51.100.0/24", "2026-11-22"),
    ];
    let lists = Lists {
        bots: vec![list()],
        ..Lists::default()
    };
    let page = page(&document, lists);
    let sections: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    let expected = [
        "Rule set",
        "Window",
        "Lists",
        "What is estimated",
        "Decisions",
        "Limits",
        "Self-audit",
    ];
    assert_eq!(sections, expected);
    for said in [
        "# How downloads are counted by iab-2.2+1",
        "| threshold_secs | `60` | not verified",
        "*Last touch*",
        "| agents | bots.json | 295 | 2026-08-06 | `abab",
        "| 192.0.2.0/24 | A. Example | 2026-11-01 | a letter | 2026-12-01 |",
        "13 parameters are not verified",
        "- 2027-01-31\n- 2027-07-31",
        "nothing here is certified",
    ] {
        assert!(page.contains(said), "{said} is not in {page}");
    }
    assert!(!page.contains("| 198.51.100.0/24 |"), "it has expired");
}

#[test]
fn without_lists_it_says_so() {
    let page = page(&shipped("2.3").unwrap(), Lists::default());
    assert!(
        page.contains("None are loaded") && page.contains("share them: none."),
        "{page}"
    );
    assert!(!page.contains("parameters are not verified"), "{page}");
}

#[test]
fn thresholds_are_known_in_four_ways() {
    let episode = |bit_rate, duration_secs, vbr| EpisodeFact {
        size_bytes: 1000,
        bit_rate,
        duration_secs,
        vbr,
        ..EpisodeFact::default()
    };
    let episodes = [
        episode(80, 100, false),
        episode(80, 0, false),
        episode(80, 59, false),
        episode(0, 100, false),
        episode(80, 100, true),
        episode(80, 0, true),
    ];
    let expected = Thresholds {
        constant: 2,
        variable: 1,
        short: 1,
        unknown: 2,
    };
    assert_eq!(Thresholds::of(episodes.iter(), 60), expected);
}
