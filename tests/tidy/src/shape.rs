//! The shape of source files: length, header, manifest.

use crate::tree::{File, files};

/// A Rust file stays under this.
const LINES_MAX: usize = 500;

/// Files that may be longer, to what length, each with its reason.
const LONGER: &[(&str, usize, &str)] = &[];

fn too_long(files: &[File], longer: &[(&str, usize, &str)]) -> Vec<String> {
    let mut faults = Vec::new();
    for file in files.iter().filter(|file| file.is("rs")) {
        let lines = file.text.lines().count();
        let excepted = longer.iter().find(|(path, _, _)| *path == file.path);
        let max = excepted.map_or(LINES_MAX, |(_, max, _)| *max);
        if lines >= max {
            faults.push(format!("{} has {lines} lines; split it", file.path));
        }
    }
    for (path, _, _) in longer {
        if !files.iter().any(|file| file.path == *path) {
            faults.push(format!("{path} is excepted and not there"));
        }
    }
    faults
}

/// Every module opens with what it is; a crate's root says more than one line.
fn without_header(files: &[File]) -> Vec<String> {
    let mut faults = Vec::new();
    for file in files.iter().filter(|file| file.is("rs")) {
        let mut lines = file.text.lines().filter(|line| !line.is_empty());
        let first = lines.next().unwrap_or_default();
        let text = first.strip_prefix("//!").map_or("", str::trim);
        let test_file = file.path.ends_with("/tests.rs") || file.path.contains("/tests/");
        if test_file && first.starts_with("#![") {
            continue;
        }
        if text.len() < 12 {
            faults.push(format!("{} opens without a header (\"//! …\")", file.path));
        }
    }
    faults
}

/// One lint table; versions stand in the workspace's manifest only.
fn manifests(files: &[File]) -> Vec<String> {
    let mut faults = Vec::new();
    for file in files {
        let Some(folder) = file.path.strip_suffix("/Cargo.toml") else {
            continue;
        };
        // The one crate with unsafe code has a table of its own.
        if folder != "engines" && !file.text.contains("[lints]\nworkspace = true") {
            faults.push(format!("{} does not inherit the lints", file.path));
        }
        // Only builds of these tests, and what is built with them, may die where they are told to.
        if folder != "tests/it" && file.text.contains("failpoints") {
            faults.push(format!("{} has crash points outside of tests", file.path));
        }
        let mut in_dependencies = false;
        for line in file.text.lines() {
            if line.starts_with('[') {
                in_dependencies = line.ends_with("dependencies]");
            } else if in_dependencies && line.contains('=') && !line.contains("workspace = true") {
                faults.push(format!(
                    "{}: \"{line}\" is not from the workspace",
                    file.path
                ));
            }
        }
    }
    faults
}

#[test]
fn files_are_short_enough_to_read() {
    assert_eq!(too_long(&files(), LONGER), Vec::<String>::new());
    let long = File::new("a/src/lib.rs", &"x\n".repeat(LINES_MAX));
    let short = File::new("a/src/lib.rs", &"x\n".repeat(LINES_MAX - 1));
    let except = [("a/src/lib.rs", LINES_MAX + 1, "a table")];
    assert_eq!(too_long(std::slice::from_ref(&long), &[]).len(), 1);
    assert_eq!(too_long(&[long], &except).len(), 0);
    assert_eq!(too_long(&[short], &[]).len(), 0);
    let longer = File::new("a/src/lib.rs", &"x\n".repeat(LINES_MAX + 1));
    assert_eq!(too_long(&[longer], &except).len(), 1);
    assert_eq!(too_long(&[], &except).len(), 1);
}

#[test]
fn modules_open_with_a_header() {
    assert_eq!(without_header(&files()), Vec::<String>::new());
    let faults = |path, text| without_header(&[File::new(path, text)]).len();
    assert_eq!(faults("a/src/b.rs", "use std::fs;\n"), 1);
    assert_eq!(faults("a/src/b.rs", "//! B.\n"), 1);
    assert_eq!(faults("a/src/b.rs", "#![allow(dead_code)]\n"), 1);
    assert_eq!(faults("a/src/tests.rs", "#![allow(dead_code)]\n"), 0);
    assert_eq!(faults("a/src/b.rs", "//! Reads a file, line by line.\n"), 0);
}

#[test]
fn manifests_inherit_lints_and_versions() {
    assert_eq!(manifests(&files()), Vec::<String>::new());
    let faults = |text: &str| manifests(&[File::new("a/Cargo.toml", text)]).len();
    assert_eq!(faults("[dependencies]\nserde.workspace = true\n"), 1);
    let lints = "[lints]\nworkspace = true\n\n[dev-dependencies]\n";
    assert_eq!(faults(lints), 0);
    assert_eq!(faults(&format!("{lints}serde = \"1\"\n")), 1);
    let points = "fail = { workspace = true, features = [\"failpoints\"] }\n";
    assert_eq!(faults(&format!("{lints}{points}")), 1);
}
