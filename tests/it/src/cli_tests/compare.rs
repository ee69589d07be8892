//! `hostread compare`: two logs, two ways of counting one, and totals whose story is known.

use std::path::Path;

use serde_json::{Value, json};

use super::{printed, run, text};

/// Arguments that count the samples of a tenant; they lie in `samples`.
const HOW: [&str; 6] = [
    "--catalog",
    "samples/beta-brand/catalog.json",
    "--lists",
    "samples/lists",
    "--nonhuman-ranges",
    "samples/lists/nonhuman-ranges.json",
];
const LOGS: [&str; 2] = [
    "samples/beta-brand/cdn.log.gz",
    "samples/beta-brand/cdn-late.log.gz",
];

fn samples() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples");
    let samples = samples.canonicalize().unwrap();
    std::os::unix::fs::symlink(samples, dir.path().join("samples")).unwrap();
    dir
}

fn compared(dir: &Path, args: &[&str]) -> Value {
    let args = [&["compare", "--format", "json"], args].concat();
    serde_json::from_str(&printed(dir, &args)).unwrap()
}

fn counted(dir: &Path, args: &[&str]) -> Value {
    let args = [&["count", "--format", "json"], args].concat();
    let report: Value = serde_json::from_str(&printed(dir, &args)).unwrap();
    report["downloads"].clone()
}

/// Of each group and the whole: ours + parts + unexplained = theirs.
fn assert_adds_up(report: &Value) {
    let groups = report["groups"].as_array().unwrap();
    for row in groups.iter().chain([&report["total"]]) {
        let parts = row["parts"].as_object().unwrap().values();
        let parts: i64 = parts.map(|part| part.as_i64().unwrap()).sum();
        let number = |name: &str| row[name].as_i64().unwrap();
        let of = report["parts_of"].as_i64().unwrap();
        assert_eq!(parts, (number("gap") - number("unexplained")) * of, "{row}");
        assert_eq!(number("theirs") - number("ours"), number("gap"), "{row}");
    }
    let sum = |name: &str| -> i64 { groups.iter().map(|row| row[name].as_i64().unwrap()).sum() };
    for name in ["ours", "theirs", "gap", "unexplained"] {
        assert_eq!(report["total"][name], sum(name), "{name}");
    }
}

#[test]
fn two_ways_of_counting_one_log() {
    let dir = samples();
    let dir = dir.path();
    let their = ["--window", "last-touch", "--tz", "Asia/Tokyo"];
    let mut named = Vec::new();
    let their_names = [
        "--their-window",
        "last-touch",
        "--their-tz",
        "Asia/Tokyo",
        "--their-lists",
        "none",
    ];
    named.extend(their_names);
    let report = compared(
        dir,
        &[
            &HOW[..],
            &["--same"],
            &LOGS,
            &named,
            &["--by", "episode,day"],
        ]
        .concat(),
    );
    assert_adds_up(&report);
    let ours = counted(dir, &[&HOW[..], &LOGS].concat());
    let none = ["--lists", "none"];
    let without = [&HOW[..2], &HOW[4..], &none, &LOGS, &their].concat();
    let theirs = counted(dir, &without);
    assert_eq!(
        (&report["total"]["ours"], &report["total"]["theirs"]),
        (&ours, &theirs)
    );
    assert_eq!(report["theirs"]["tz"], "Asia/Tokyo");
    let parts = report["total"]["parts"].as_object().unwrap();
    let parts: Vec<&String> = parts.keys().collect();
    assert_eq!(parts, ["lists", "window", "zone"]);
    let one = compared(
        dir,
        &[&HOW[..], &LOGS[..1], &["--their-rules", "2.3"]].concat(),
    );
    assert_eq!(
        (&one["total"]["gap"], &one["theirs"]["rules"]),
        (&json!(0), &json!("2.3"))
    );
    assert_eq!(one["within_5_percent"], true);
}

#[test]
fn a_log_that_lacks_hours() {
    let dir = samples();
    let dir = dir.path();
    let both = [&HOW[..], &LOGS[..1], &["--theirs"], &LOGS].concat();
    let report = compared(dir, &both);
    assert_adds_up(&report);
    let sides = [&LOGS[..1], &LOGS[..]].map(|logs| counted(dir, &[&HOW[..], logs].concat()));
    assert_eq!(
        [&report["total"]["ours"], &report["total"]["theirs"]],
        [&sides[0], &sides[1]]
    );
    let only = ["only_ours", "only_theirs"].map(|name| report["total"][name].as_u64().unwrap());
    assert!(only[0] == 0 && only[1] > 30, "{only:?}");
    let table = printed(dir, &[&["compare"], &both[..]].concat());
    assert!(table.contains("within the 5% of IAB"), "{table}");
    assert!(table.contains("more rows have no gap"), "{table}");
    let controlling = [&both[..], &["--controlling", "theirs", "--format", "csv"]].concat();
    let csv = printed(dir, &[&["compare"], &controlling[..]].concat());
    let head = "episode,ours,theirs,gap,gap_percent,requests,unexplained,only_ours,only_theirs\n";
    assert!(csv.starts_with(head) && csv.lines().count() > 30, "{csv}");
}

/// What was found of totals that `count` made under other rules.
fn explained(dir: &Path, totals: &str, more: &[&str]) -> Value {
    std::fs::write(dir.join("totals.csv"), totals).unwrap();
    let args = [&HOW[..], &LOGS, &["--their-totals", "totals.csv"], more].concat();
    let report = compared(dir, &args);
    assert_adds_up(&report);
    report
}

fn totals(dir: &Path, how: &[&str]) -> String {
    printed(dir, &[&["count", "--format", "csv"], how, &LOGS].concat())
}

fn fits(report: &Value) -> Vec<String> {
    let tested = report["hypotheses"].as_array().unwrap().iter();
    let fits = tested.filter(|one| one["fits"] == true && one["left"] == 0);
    fits.map(|one| {
        let changes = one["changes"].as_array().unwrap().iter();
        let changes: Vec<&str> = changes.map(|change| change.as_str().unwrap()).collect();
        changes.join(" and ")
    })
    .collect()
}

#[test]
fn each_hypothesis_is_found_where_it_holds_and_only_there() {
    let dir = samples();
    let dir = dir.path();
    let with = |more: &[&'static str]| totals(dir, &[&HOW[..], more].concat());
    let without_lists = totals(dir, &[&HOW[..2], &["--lists", "none"]].concat());
    let catalog = std::fs::read(dir.join(HOW[1])).unwrap();
    let mut catalog: Value = serde_json::from_slice(&catalog).unwrap();
    for episode in catalog["episodes"].as_array_mut().unwrap() {
        *episode = json!({"id": episode["id"], "path": episode["path"], "size_bytes": 0});
    }
    std::fs::write(dir.join("no-bytes.json"), catalog.to_string()).unwrap();
    let without_bytes = totals(dir, &[&["--catalog", "no-bytes.json"], &HOW[2..]].concat());
    let days = with(&[]);
    let days: Vec<&str> = days
        .lines()
        .filter(|row| !row.contains("-03-07,"))
        .collect();
    let stories = [
        (with(&["--tz", "America/New_York"]), "zone America/New_York"),
        (with(&["--tz", "Asia/Tokyo"]), "zone Asia/Tokyo"),
        (with(&["--window", "first-touch"]), "window first-touch"),
        (with(&["--window", "last-touch"]), "window last-touch"),
        (without_lists, "no bot filter"),
        (without_bytes, "no byte rule"),
        (days.join("\n"), "missing 2026-03-07"),
        (
            with(&["--window", "last-touch", "--tz", "Asia/Tokyo"]),
            "zone Asia/Tokyo and window last-touch",
        ),
    ];
    for (totals, story) in stories {
        let report = explained(dir, &totals, &[]);
        assert_eq!(fits(&report), [story]);
        assert_eq!(report["total"]["unexplained"], 0, "{story}");
        assert_eq!(report["hypotheses"][0]["fits"], true, "{story}");
        // What holds in part may fit too; what does not hold may not.
        for one in report["hypotheses"].as_array().unwrap() {
            let changes = one["changes"].as_array().unwrap();
            let holds = |change: &Value| story.contains(change.as_str().unwrap());
            assert!(
                one["fits"] == false || changes.iter().any(holds),
                "{story}: {one}"
            );
        }
    }
}

#[test]
fn nothing_fits_what_nobody_stated() {
    let dir = samples();
    let dir = dir.path();
    let same = explained(dir, &totals(dir, &HOW), &[]);
    assert_eq!(
        (&same["differs"], &same["total"]["gap"]),
        (&json!(0), &json!(0))
    );
    assert!(fits(&same).is_empty(), "{same}");
    let csv = totals(dir, &HOW);
    let half: String = csv.split_inclusive('\n').step_by(2).collect();
    let report = explained(dir, &half, &[]);
    let tested = report["hypotheses"].as_array().unwrap();
    assert!(tested.iter().all(|one| one["fits"] == false), "{report}");
    assert_eq!(report["total"]["unexplained"], report["total"]["gap"]);
    let args = [
        &["compare"],
        &HOW[..],
        &LOGS,
        &["--their-totals", "totals.csv"],
    ]
    .concat();
    let table = printed(dir, &args);
    assert!(table.contains("no hypothesis fits"), "{table}");
}

/// In winter London is UTC.
#[test]
fn two_that_fit_equally_well_are_both_said() {
    let dir = samples();
    let dir = dir.path();
    let utc = totals(dir, &HOW);
    let report = explained(dir, &utc, &["--tz", "America/Denver"]);
    let found = fits(&report);
    for zone in ["zone UTC", "zone Europe/London"] {
        assert!(found.iter().any(|one| one == zone), "{found:?}");
    }
    assert_eq!(report["undecided"], false, "they agree on the parts");
    let args = [
        &["compare"],
        &HOW[..],
        &LOGS,
        &["--their-totals", "totals.csv", "--tz", "America/Denver"],
    ];
    let table = printed(dir, &args.concat());
    assert!(
        table.contains("zone UTC, zone Europe/London") && table.contains("fit equally well"),
        "{table}"
    );
    let stated = explained(dir, &utc, &["--tz", "America/Denver", "--their-tz", "UTC"]);
    assert_eq!(fits(&stated), ["zone UTC"]);
}

#[test]
fn what_cannot_be_compared_is_said() {
    let dir = samples();
    let dir = dir.path();
    let fails = |args: &[&str], why: &str| {
        let output = run(dir, &[&["compare"], args].concat());
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        assert!(text(&output).contains(why), "{}", text(&output));
    };
    fails(&LOGS[..1], "there is nothing to compare");
    fails(
        &[LOGS[0], LOGS[0], LOGS[1]],
        "--theirs must say which are theirs",
    );
    let rows = "episode,downloads\ndaily-brew-0,many\ndaily-brew-1,27\nunheard,3\n";
    std::fs::write(dir.join("totals.csv"), rows).unwrap();
    let with = [&HOW[..], &LOGS[..1], &["--their-totals", "totals.csv"]].concat();
    fails(
        &[&with[..], &["--by", "day"]].concat(),
        "finer than the totals",
    );
    fails(
        &[&with[..], &["--their-rules", "2.3"]].concat(),
        "only --their-window and --their-tz",
    );
    fails(&[&with[..], &["--strict"]].concat(), "--strict was given");
    let output = run(dir, &[&["compare"], &with[..]].concat());
    assert!(output.status.success(), "{}", text(&output));
    for said in [
        "totals.csv:2: downloads: \"many\" is no number",
        "1 episodes of totals.csv are not known here, such as unheard",
    ] {
        assert!(
            text(&output).contains(said),
            "{said} is not in {}",
            text(&output)
        );
    }
    std::fs::write(dir.join("totals.csv"), "show,plays\n").unwrap();
    fails(&with, "it has no column downloads, only show, plays");
}
