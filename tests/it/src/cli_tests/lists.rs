//! `hostread lists`: a copy of lists is checked, dated, hashed and told by; without one the shipped lists say who is a bot.

use std::path::Path;

use serde_json::{Value, json};

use super::{printed, run, text};

const LOG: &str = r#"198.51.100.1 - - [09/Nov/2026:10:00:00 +0000] "GET /one.mp3 HTTP/1.1" 200 900 "-" "Overcast/3.0 (+http://overcast.fm/; iOS podcast app)"
198.51.100.2 - - [09/Nov/2026:10:00:00 +0000] "GET /one.mp3 HTTP/1.1" 200 900 "-" "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
198.51.100.3 - - [09/Nov/2026:10:00:00 +0000] "GET /one.mp3 HTTP/1.1" 200 900 "-" "curl/8.1.2"
198.51.100.4 - - [09/Nov/2026:10:00:00 +0000] "GET /one.mp3 HTTP/1.1" 200 900 "-" "Nobody has heard of it/1"
"#;
const APPS: &str =
    r#"{"entries": [{"name": "Overcast", "pattern": "^Overcast", "examples": ["Overcast/3"]}]}"#;

fn bots(dir: &Path, folder: &str, pattern: &str) {
    std::fs::create_dir_all(dir.join(folder)).unwrap();
    let entry = json!({"name": "Mine", "pattern": pattern, "examples": ["Overcast/3"]});
    let list = json!({ "entries": [entry] }).to_string();
    std::fs::write(dir.join(folder).join("bots.json"), list).unwrap();
    std::fs::write(dir.join(folder).join("apps.json"), APPS).unwrap();
}

/// What is counted of the log, and what of it bots lose.
fn counted(dir: &Path, more: &[&str]) -> (Value, Value, String) {
    let args = [&["count", "--format", "json", "access.log"], more].concat();
    let output = run(dir, &args);
    assert!(output.status.success(), "{}", text(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let bots = report["dropped"]["bot_user_agent"].clone();
    (report["downloads"].clone(), bots, said)
}

#[test]
fn the_shipped_lists_say_who_is_a_bot_unless_others_are_given() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("access.log"), LOG).unwrap();
    let (downloads, lost, said) = counted(dir, &[]);
    assert_eq!((downloads, lost), (json!(2), json!(2)));
    assert!(
        said.contains("note: bots are told by Hostread's own lists of "),
        "{said}"
    );
    bots(dir, "mine", "^Overcast");
    let (downloads, lost, said) = counted(dir, &["--lists", "mine"]);
    assert_eq!((downloads, lost), (json!(3), json!(1)));
    assert!(!said.contains("Hostread's own"), "{said}");
    let method = printed(dir, &["method", "--rules", "2.3"]);
    assert!(
        method.contains("| agents | hostread/bots.json | "),
        "{method}"
    );
}

#[test]
fn a_copy_is_checked_dated_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("access.log"), LOG).unwrap();
    bots(dir, "bad", "(?=x)");
    let refused = run(dir, &["lists", "import", "bad", "--to", "copy"]);
    assert_eq!(refused.status.code(), Some(2));
    let why = "bots.json: entries[0] \"Mine\": its pattern: look-around";
    assert!(text(&refused).contains(why), "{}", text(&refused));
    assert!(!dir.join("copy").exists());

    bots(dir, "mine", "^Overcast");
    let import = [
        "lists",
        "import",
        "mine/bots.json",
        "mine/apps.json",
        "--to",
        "copy",
        "--date",
        "2026-08-06",
    ];
    let said = printed(dir, &import);
    // The app's example is taken by the bot's pattern.
    assert!(
        said.contains("0 of 1") && said.contains("an example of Overcast is known as Mine"),
        "{said}"
    );
    let shown = printed(dir, &["lists", "show", "copy", "--format", "json"]);
    let bots: Value = serde_json::from_str(shown.lines().next().unwrap()).unwrap();
    let fields = ["file", "entries", "bots", "date"].map(|name| bots[name].clone());
    assert_eq!(
        Value::from(fields.to_vec()),
        json!(["bots.json", 1, 1, "2026-08-06"])
    );
    let method = printed(dir, &["method", "--rules", "2.3", "--lists", "copy"]);
    let sha256 = &bots["sha256"].as_str().unwrap();
    let row = format!("| agents | bots.json | 1 | 2026-08-06 | `{sha256}` |");
    assert!(method.contains(&row), "{row} in {method}");
    assert_eq!(counted(dir, &["--lists", "copy"]).1, json!(1));
    std::fs::write(dir.join("copy/bots.json"), r#"{"entries": []}"#).unwrap();
    let changed = text(&run(dir, &["count", "--lists", "copy", "access.log"]));
    assert!(changed.contains("is not what was imported"), "{changed}");
}

#[test]
fn what_lists_say_of_an_agent() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let said = |agent: &str| -> Value {
        let page = "https://overcast.fm/+abc";
        let args = [
            "lists",
            "show",
            "--agent",
            agent,
            "--referrer",
            page,
            "--format",
            "json",
        ];
        serde_json::from_str(&printed(dir, &args)).unwrap()
    };
    let app = said("Overcast/3.0 (+http://overcast.fm/; iOS podcast app)");
    assert_eq!(
        (&app["bot"], &app["agent"]["name"]),
        (&json!(false), &json!("Overcast"))
    );
    assert_eq!(
        (&app["device"]["category"], &app["referrer"]),
        (&json!("mobile"), &Value::Null)
    );
    let browser = said("Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0");
    assert_eq!(browser["referrer"]["name"], "Overcast");
    let bot = said("curl/8.1.2");
    assert_eq!((&bot["bot"], &bot["device"]), (&json!(true), &Value::Null));
    assert_eq!(said("Nobody has heard of it/1")["agent"], Value::Null);
}
