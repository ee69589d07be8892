//! The demo equals its world's truth, whatever the seed; it stays up, goes on, and says so when a number differs.

use std::collections::BTreeMap;
use std::path::Path;

use nix::sys::signal::Signal;

use super::{Running, hostread, printed, run, sql, text};

/// Drawn, unless `HOSTREAD_TEST_SEED` names it.
fn seed() -> String {
    let seed = std::env::var("HOSTREAD_TEST_SEED").unwrap_or_else(|_| {
        let nanos = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .subsec_nanos();
        (2 + nanos % 1_000_000).to_string()
    });
    println!("HOSTREAD_TEST_SEED={seed}");
    seed
}

#[tokio::test(flavor = "multi_thread")]
async fn any_world_comes_out_as_it_is_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let seed = seed();
    let args = ["up", "--demo", "--seed", &seed];
    let once = run(dir.path(), &[&args[..], &["--once"]].concat());
    let said = text(&once);
    assert_eq!(once.status.code(), Some(0), "seed {seed}: {said}");
    assert!(
        said.contains("numbers equal the world's own truth"),
        "{said}"
    );
    assert!(said.contains("Freshness"), "{said}");

    // The same again: everything was there, nothing is written, the report is the same.
    let mut up = Running::start(hostread(dir.path(), &args));
    up.wait_for("Ctrl-C");
    up.wait_for("psql 'postgres://");
    let again = up.printed();
    assert!(
        again.contains("numbers equal the world's own truth"),
        "seed {seed}: {again}"
    );
    let counts = up.wait_for("of them repeats");
    assert!(counts.ends_with(" 0 rows written"), "{counts}");
    let words: Vec<&str> = counts.split_whitespace().collect();
    assert_eq!(words[0], words[5], "all of them repeats: {counts}");
    let report = |said: &str| {
        let from = said.find("Downloads").unwrap();
        said[from..said.find("Freshness").unwrap()]
            .trim()
            .to_owned()
    };
    let (first, second) = (report(&said), report(&again));
    assert!(first == second, "{first}\n{second}");

    ready_to_paste(&mut up).await;
    beside(dir.path(), &seed, &first);
    let line = up.wait_for("psql '");
    let postgres = sqlx::PgPool::connect(line.split('\'').nth(1).unwrap())
        .await
        .unwrap();
    billed(&postgres, &first).await;
    let demo = super::explain::Demo {
        dir: dir.path(),
        data: format!("data/demo-{seed}"),
        door: up.address("/sql "),
        gateway: up.address("gateway  "),
    };
    super::explain::every_kind(&demo, &postgres).await;
    super::credits::every_sheet(&demo, &postgres).await;
    super::tracking::every_line(&demo).await;
    super::windows::every_window(&demo).await;
    super::schemathesis::any_question(&demo, &seed);
    super::lift::of_a_draw(&demo).await;
    postgres.close().await;
    assert_eq!(up.stop(Signal::SIGINT), Some(0));
}

/// The report has each billing line, and says what its quantity counts.
async fn billed(postgres: &sqlx::PgPool, report: &str) {
    let lines: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT tenant, line, CASE price_kind WHEN 'cpa' THEN round(quantity, 2) || ' conversions' ELSE quantity::bigint || ' ads' END \
        FROM hostread.billing_lines",
    )
    .fetch_all(postgres)
    .await
    .unwrap();
    for unit in ["ads", "conversions"] {
        assert!(lines.iter().any(|line| line.2.ends_with(unit)), "{unit}");
    }
    for (tenant, line, quantity) in lines {
        let printed = report.lines().any(|printed| {
            let printed = printed.replace(',', "");
            let mut words = printed.split_whitespace();
            words.next() == Some(&*tenant)
                && words.next() == Some(&*line)
                && printed.contains(&format!(" {quantity} "))
        });
        assert!(printed, "{tenant} {line} {quantity}: {report}");
    }
}

/// The printed query and the printed connection work as they stand.
async fn ready_to_paste(up: &mut Running) {
    let line = up.wait_for("curl -H");
    let part = |from: &str, to: char| {
        let start = line.find(from).unwrap() + from.len();
        let rest = &line[start..];
        rest[..rest.find(to).unwrap()].to_owned()
    };
    let (key, query) = (part("Bearer ", '\''), part("-d '", '\''));
    let door = up.address("/sql ");
    let rows = sql(&door, &key, &query).await;
    assert!(rows.lines().count() > 2, "{rows}");
    let line = up.wait_for("psql '");
    let url = line.split('\'').nth(1).unwrap();
    let pool = sqlx::PgPool::connect(url).await.unwrap();
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM hostread.pacing")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert!(rows > 3, "{rows} rows of pacing");
    pool.close().await;
    let gateway = up.address("gateway  ");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for path in ["livez", "readyz", "readyz/pipeline", "metrics"] {
        let answer = client
            .get(format!("{gateway}/{path}"))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    }
}

/// What was published and what the ledger says of it are what is known now.
fn ledgers(of: &dyn Fn(&[&str]) -> String, report: &str) {
    let rows = |args: &[&str]| -> Vec<serde_json::Value> {
        let said = of(&[&["report"], args, &["--format", "json"]].concat());
        let lines = said.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let moved = rows(&["restatements", "--limit", "100000"]);
    assert!(!moved.is_empty(), "the demo restates");
    newest_causes(&moved, report);
    let of_days = moved
        .iter()
        .filter(|row| row["number"] != "billing_lines.amount_micros");
    let day = of_days
        .map(|row| row["period_end"].as_str().unwrap())
        .max()
        .unwrap();
    let numbers = rows(&["day", day, "--as-published"]);
    let number = |row: &serde_json::Value, of: &str| row[of].as_i64().unwrap();
    for row in &numbers {
        let sum = number(row, "as_published") + number(row, "moved_by");
        assert_eq!(sum, number(row, "now"), "{row}");
    }
    let sum = |rows: &[serde_json::Value], of: &str| -> i64 {
        rows.iter().map(|row| number(row, of)).sum()
    };
    assert_ne!(sum(&numbers, "now"), 0);
    assert!(
        numbers.iter().any(|row| number(row, "moved_by") != 0),
        "{day}"
    );
    assert_eq!(sum(&rows(&["day", day]), "now"), sum(&numbers, "now"));
    let cause = moved
        .iter()
        .find_map(|row| row["cause"].as_str()?.strip_prefix("event "));
    if let Some(cause) = cause {
        let by = rows(&["restatements", "--cause", cause]);
        assert!(!by.is_empty() && by.len() < moved.len().max(2));
    }
    assert_eq!(
        rows(&["restatements", "--tenant", "nobody"]),
        Vec::<serde_json::Value>::new()
    );
    let said = of(&["report", "late"]);
    assert!(said.contains("sealed"), "{said}");
}

/// The report names what moved each number last. `moved`: newest last.
fn newest_causes(moved: &[serde_json::Value], report: &str) {
    let word = |row: &serde_json::Value, of: &str| row[of].as_str().unwrap().to_owned();
    let causes = moved.iter().map(|row| {
        (
            (word(row, "tenant"), word(row, "number")),
            word(row, "cause"),
        )
    });
    for ((tenant, number), cause) in causes.collect::<BTreeMap<_, _>>() {
        let line = report.lines().find(|line| {
            let mut words = line.split_whitespace();
            words.next() == Some(&*tenant) && words.next() == Some(&*number)
        });
        let line = line.unwrap_or_else(|| panic!("{tenant} {number}: {report}"));
        assert!(line.contains(&cause), "{tenant} {number} {cause}: {line}");
    }
}

/// Commands beside a running system.
fn beside(dir: &Path, seed: &str, report: &str) {
    let data = format!("data/demo-{seed}");
    let of = |args: &[&str]| printed(dir, &[&["--data-dir", &data], args].concat());
    let said = of(&["report"]);
    assert_eq!(said.trim(), report);
    ledgers(&of, report);
    let said = of(&["migrate"]);
    assert_eq!(said.matches("up to date").count(), 2, "{said}");
    let said = of(&["doctor"]);
    assert!(said.contains("in use by a running hostread"), "{said}");
    assert!(
        said.contains("ok    ClickHouse") && said.contains("ok    PostgreSQL"),
        "{said}"
    );
    let said = of(&[
        "dead-letters",
        "list",
        "--format",
        "json",
        "--tenant",
        "acme-network",
        "--limit",
        "5",
    ]);
    let letters: Vec<serde_json::Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!((1..=5).contains(&letters.len()), "{said}");
    for letter in letters {
        assert_eq!(letter["tenant"], "acme-network");
        assert!(!letter["reason"].as_str().unwrap().is_empty());
        assert!(
            letter["position"].as_str().unwrap().contains("line"),
            "{letter}"
        );
    }
}

/// A journal that is gone: the error names the way out, and the way out works.
#[test]
fn databases_of_another_journal_are_filled_again() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["up", "--demo", "--once", "--seed", "3"];
    printed(dir.path(), &args);
    std::fs::remove_dir_all(dir.path().join("data/demo-3/journal")).unwrap();
    let refused = run(dir.path(), &args);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text(&refused).contains("hostread sinks resync"),
        "{}",
        text(&refused)
    );

    let data = ["--data-dir", "data/demo-3"];
    let mut engines = Running::start(hostread(dir.path(), &[&data[..], &["engines"]].concat()));
    engines.wait_for("PostgreSQL on port");
    let resync = |more: &[&str]| {
        printed(
            dir.path(),
            &[&data[..], &["sinks", "resync"], more].concat(),
        )
    };
    assert_eq!(resync(&[]).matches("would be emptied").count(), 2);
    assert_eq!(resync(&["--yes"]).matches(": emptied").count(), 2);
    assert_eq!(engines.stop(Signal::SIGTERM), Some(0));
    let said = printed(dir.path(), &args);
    assert!(
        said.contains("numbers equal the world's own truth"),
        "{said}"
    );
}

/// A truth that is not so: the exit code says it.
#[test]
fn a_difference_ends_with_1() {
    let dir = tempfile::tempdir().unwrap();
    let samples = dir.path().join("samples");
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples");
    copy(&made, &samples);
    let truth = std::fs::read_to_string(samples.join("truth.json")).unwrap();
    let mut truth: serde_json::Value = serde_json::from_str(&truth).unwrap();
    let downloads = &mut truth["downloads"][0][1];
    *downloads = (downloads.as_i64().unwrap() + 1).into();
    std::fs::write(samples.join("truth.json"), truth.to_string()).unwrap();
    let output = run(dir.path(), &["up", "--demo", "--once"]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("1 numbers DIFFER"), "{said}");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}
