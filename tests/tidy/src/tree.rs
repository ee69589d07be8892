//! The text files of the checkout.
//! Promises: in order of path; what tools leave behind (build output, packages, jars, data folders) is not there.

use std::fs;
use std::path::{Path, PathBuf};

/// A text file: its path from the root with `/`, and what stands in it.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    /// For tests of checks.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    /// Whether its name ends in `.` and this.
    pub(crate) fn is(&self, extension: &str) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|its| its == extension)
    }
}

/// Folders that are no source, wherever they are.
const SKIPPED_NAMES: [&str; 4] = [".git", "node_modules", "target", "proptest-regressions"];
/// Folders that are no source, from the root: the ones in `.gitignore`.
const SKIPPED_PATHS: [&str; 4] = [
    "data",
    "docker/secrets",
    "tests/kafka/libs",
    "tests/schemathesis/venv",
];
/// Larger files are samples, not source.
const TEXT_BYTES_MAX: u64 = 1 << 20;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every text file of the checkout.
pub(crate) fn files() -> Vec<File> {
    let mut found = Vec::new();
    walk(&root(), "", &mut found);
    assert!(
        found.len() > 100,
        "{} files: this is not the checkout",
        found.len()
    );
    found
}

fn walk(root: &Path, folder: &str, found: &mut Vec<File>) {
    let mut entries: Vec<_> = fs::read_dir(root.join(folder))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().into_string().unwrap();
        let path = if folder.is_empty() {
            name.clone()
        } else {
            format!("{folder}/{name}")
        };
        // Other processes may be at work in the checkout: what has gone meanwhile is not there.
        let Ok(about) = entry.metadata() else {
            continue;
        };
        if about.is_dir() {
            let skipped =
                SKIPPED_NAMES.contains(&name.as_str()) || SKIPPED_PATHS.contains(&path.as_str());
            if !skipped {
                walk(root, &path, found);
            }
        } else if about.len() <= TEXT_BYTES_MAX
            && let Ok(text) = fs::read_to_string(entry.path())
        {
            found.push(File { path, text });
        }
    }
}

#[test]
fn the_tree_is_this_one() {
    let files = files();
    assert!(files.iter().any(|file| file.path == "Makefile"));
    assert!(files.iter().all(|file| !file.path.contains("node_modules")));
}
