//! Numbered files have no gaps and no doubles, and every migration is one that the sink runs.

use crate::tree::{File, files};

/// Names in `folder` with `ending`, without it.
fn names<'a>(files: &'a [File], folder: &str, ending: &str) -> Vec<&'a str> {
    files
        .iter()
        .filter_map(|file| file.path.strip_prefix(folder)?.strip_suffix(ending))
        .filter(|name| name.starts_with(|first: char| first.is_ascii_digit()))
        .collect()
}

/// Numbers count from 1, one file each.
fn numbering(folder: &str, names: &[&str]) -> Vec<String> {
    let wanted = (1..).map(|number| format!("{number:04}_"));
    let wrong = names.iter().zip(wanted).find(|(name, wanted)| {
        let number = wanted.trim_end_matches('_');
        !name.starts_with(number) || name.as_bytes().get(4).is_none_or(u8::is_ascii_digit)
    });
    wrong
        .map(|(name, wanted)| format!("{folder}{name}: its number should be {}", &wanted[..4]))
        .into_iter()
        .collect()
}

fn faults(files: &[File]) -> Vec<String> {
    let mut faults = Vec::new();
    let text_of = |path: &str| files.iter().find(|file| file.path == path);
    for (folder, runner) in [
        (
            "sinks/clickhouse/migrations/",
            "sinks/clickhouse/src/migrate.rs",
        ),
        ("sinks/postgres/migrations/", "sinks/postgres/src/sink.rs"),
    ] {
        let names = names(files, folder, ".sql");
        if names.is_empty() {
            faults.push(format!("{folder} is empty"));
        }
        faults.extend(numbering(folder, &names));
        let text = text_of(runner).map_or("", |file| file.text.as_str());
        // sqlx takes the whole folder; the other runner names each file.
        let whole_folder = text.contains("sqlx::migrate!()");
        for name in names {
            if !whole_folder && !text.contains(&format!("\"{name}\"")) {
                faults.push(format!("{folder}{name}.sql is not run by {runner}"));
            }
        }
    }
    let decisions = names(files, "docs/adr/", ".md");
    faults.extend(numbering("docs/adr/", &decisions));
    faults
}

#[test]
fn numbered_files_are_in_order_and_used() {
    assert_eq!(faults(&files()), Vec::<String>::new());
}

#[test]
fn a_lost_or_doubled_number_is_found() {
    let good = files();
    let with = |path: &str| {
        let mut files = good.clone();
        files.push(File::new(path, ""));
        files.sort_by(|a, b| a.path.cmp(&b.path));
        faults(&files).len()
    };
    let without = |part: &str| {
        let files: Vec<File> = good
            .iter()
            .filter(|file| !file.path.contains(part))
            .cloned()
            .collect();
        faults(&files).len()
    };
    assert!(
        with("sinks/clickhouse/migrations/0001_again.sql") >= 2,
        "a double that nobody runs"
    );
    assert_eq!(with("sinks/postgres/migrations/0009_later.sql"), 1);
    assert_eq!(with("docs/adr/0001-again.md"), 1);
    assert_eq!(without("sinks/clickhouse/migrations/0003_"), 1);
    assert!(without("sinks/clickhouse/src/migrate.rs") > 5);
    assert_eq!(without("sinks/postgres/migrations/"), 1);
}
