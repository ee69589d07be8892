#![allow(clippy::unwrap_used, reason = "tests panic")]
use super::*;

const BOTS: &str =
    r#"{"entries": [{"name": "Crawler", "pattern": "[Cc]rawler", "examples": ["a Crawler"]}]}"#;
const APPS: &str = r#"{"comments": "x", "entries": [
    {"name": "Tape", "pattern": "^Tape/", "examples": ["Tape/1 okhttp/4", "Tape/1 Crawler"], "svg": "tape.svg"}]}"#;
const LIBRARIES: &str = r#"{"entries": [
    {"name": "OkHttp", "pattern": "okhttp/", "category": "bot"}, {"name": "Media", "pattern": "Media", "category": "app"}]}"#;
const BROWSERS: &str = r#"{"entries": [{"name": "Fox", "pattern": "Fox/"}]}"#;
const DEVICES: &str =
    r#"{"entries": [{"name": "Phone", "pattern": "Phone", "category": "mobile"}]}"#;
const REFERRERS: &str =
    r#"{"entries": [{"name": "Page", "pattern": "://page\\.example/", "category": "app"}]}"#;

fn lists() -> AgentLists {
    let files = [BOTS, APPS, LIBRARIES, BROWSERS, DEVICES, REFERRERS];
    let files = files.map(str::as_bytes);
    AgentLists::read(AgentFile::ALL.into_iter().zip(files)).unwrap()
}

#[test]
fn the_first_entry_of_the_four_lists_says_what_an_agent_is() {
    let lists = lists();
    let said = |agent: &str| {
        let said = lists.classify(agent);
        let known = said.agent.map(|it| (it.entry.name.as_str(), it.is_bot()));
        (known, said.device.map(|it| it.category.as_str()))
    };
    assert_eq!(
        said("Fox/1 crawler (Phone)"),
        (Some(("Crawler", true)), None)
    );
    let tape = (Some(("Tape", false)), Some("mobile"));
    assert_eq!(
        said("Tape/1 okhttp/4 (Phone)"),
        tape,
        "an app before a library"
    );
    assert_eq!(said("x okhttp/4 Phone"), (Some(("OkHttp", true)), None));
    assert_eq!(said("Media Fox/1"), (Some(("Media", false)), None));
    assert_eq!(said("Fox/1"), (Some(("Fox", false)), None));
    assert_eq!(said("Unknown/1 Phone"), (None, Some("mobile")));
    assert_eq!(said("crawLer"), (None, None), "case matters");
}

#[test]
fn a_referrer_is_asked_of_browsers_only() {
    let lists = lists();
    let of = |agent: &str, referrer: &str| {
        let known = lists.classify(agent).agent;
        lists.referrer(known, referrer).map(|it| it.name.as_str())
    };
    assert_eq!(of("Fox/1", "https://page.example/"), Some("Page"));
    assert_eq!(of("Fox/1", "https://page.example.net/"), None);
    assert_eq!(of("Tape/1", "https://page.example/"), None);
    assert_eq!(of("Unknown", "https://page.example/"), None);
}

#[test]
fn patterns_are_bots_and_what_is_tried_before_one() {
    let patterns = lists().patterns();
    assert_eq!(patterns.bots, ["[Cc]rawler", "okhttp/"]);
    let others = patterns.others.iter();
    let others: Vec<_> = others.map(|it| (&*it.pattern, it.bots_before)).collect();
    assert_eq!(others, [("^Tape/", 1)], "no bot comes behind Media and Fox");
}

#[test]
fn an_example_that_another_entry_takes_is_named() {
    let (tried, shadowed) = lists().try_examples(AgentFile::Apps);
    let by = shadowed.iter().map(|it| it.by.as_deref());
    assert_eq!((tried, by.collect::<Vec<_>>()), (2, vec![Some("Crawler")]));
    assert_eq!(shadowed[0].example, "Tape/1 Crawler");
    assert_eq!(lists().try_examples(AgentFile::Bots), (1, Vec::new()));
}

#[test]
fn what_is_wrong_is_named() {
    let why = |file: AgentFile, text: &str| {
        let read = AgentLists::read([(file, text.as_bytes())]);
        read.unwrap_err().to_string()
    };
    let bad = r#"{"entries": [{"name": "a", "pattern": "("}, {"name": "b", "pattern": "b"},
        {"name": "c", "pattern": "(?=x)"}, {"name": "d", "pattern": ""}, {"name": "e", "pattern": "(?:a{1000}){1000}"}]}"#;
    let said = why(AgentFile::Bots, bad);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 4, "{said}");
    assert_eq!(
        lines[0],
        "bots.json: entries[0] \"a\": its pattern: unclosed group"
    );
    assert!(
        lines[1].starts_with("bots.json: entries[2] \"c\": its pattern: look-around"),
        "{said}"
    );
    assert!(
        lines[2].contains("entries[3] \"d\": its pattern is empty"),
        "{said}"
    );
    assert!(
        lines[3].contains("entries[4] \"e\": its pattern: "),
        "{said}"
    );
    let form = why(AgentFile::Apps, r#"{"entries": [{"name": "a"}]}"#);
    assert!(
        form.starts_with("apps.json: entries[0]: missing field `pattern`"),
        "{form}"
    );
    assert!(why(AgentFile::Apps, "{}").contains("missing field `entries`"));
    assert!(why(AgentFile::Apps, "{\"entries\": []} x").contains("trailing"));
    let entry = r#"{"name": "a", "pattern": "a"}"#;
    let many = format!(
        "{{\"entries\": [{}]}}",
        vec![entry; ENTRIES_MAX + 1].join(",")
    );
    assert!(why(AgentFile::Apps, &many).contains("more than 2000 entries"));
    let large = " ".repeat(FILE_BYTES_MAX + 1);
    assert!(why(AgentFile::Apps, &large).contains("larger than"));
}
