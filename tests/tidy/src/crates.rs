//! The crates as `cargo metadata` tells them.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// How a crate is used by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// In what is shipped, or in building it.
    Shipped,
    /// Only in tests.
    Test,
}

/// All crates of the build: what each depends on, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Crates {
    /// Ours, by name, with the folder from the root.
    pub(crate) ours: BTreeMap<String, String>,
    /// Who depends on whom, and how.
    pub(crate) edges: BTreeMap<String, BTreeSet<(String, Kind)>>,
}

impl Crates {
    /// Asks cargo; no network.
    pub(crate) fn load() -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args([
                "metadata",
                "--format-version=1",
                "--offline",
                "--filter-platform=x86_64-unknown-linux-gnu",
            ])
            .current_dir(crate::tree::root())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Self::of(&serde_json::from_slice(&output.stdout).unwrap())
    }

    fn of(metadata: &Value) -> Self {
        let root = metadata["workspace_root"].as_str().unwrap();
        let mut names = BTreeMap::new();
        let mut crates = Self::default();
        for package in metadata["packages"].as_array().unwrap() {
            let (id, name) = (package["id"].as_str().unwrap(), package["name"].as_str());
            let name = name.unwrap().to_owned();
            if package["source"].is_null() {
                let manifest = package["manifest_path"].as_str().unwrap();
                let folder = manifest.strip_prefix(root).unwrap();
                let folder = folder
                    .trim_start_matches('/')
                    .trim_end_matches("Cargo.toml");
                crates
                    .ours
                    .insert(name.clone(), folder.trim_end_matches('/').to_owned());
            }
            names.insert(id, name);
        }
        for node in metadata["resolve"]["nodes"].as_array().unwrap() {
            let from = &names[node["id"].as_str().unwrap()];
            let edges = crates.edges.entry(from.clone()).or_default();
            for dependency in node["deps"].as_array().unwrap() {
                let to = &names[dependency["pkg"].as_str().unwrap()];
                let kinds = dependency["dep_kinds"].as_array().unwrap();
                let shipped = kinds.iter().any(|kind| kind["kind"] != "dev");
                edges.insert((to.clone(), if shipped { Kind::Shipped } else { Kind::Test }));
            }
        }
        crates
    }

    /// Adds an edge; for tests of checks.
    pub(crate) fn with(mut self, from: &str, to: &str, kind: Kind) -> Self {
        let edges = self.edges.entry(from.to_owned()).or_default();
        edges.insert((to.to_owned(), kind));
        self
    }

    /// The way from one crate to another through what is shipped.
    pub(crate) fn way(&self, from: &str, to: &str) -> Option<Vec<String>> {
        let mut ways = vec![vec![from.to_owned()]];
        let mut seen = BTreeSet::from([from.to_owned()]);
        while let Some(way) = ways.pop() {
            let last = way.last()?;
            if last == to {
                return Some(way);
            }
            for (next, kind) in self.edges.get(last).into_iter().flatten() {
                if *kind == Kind::Shipped && seen.insert(next.clone()) {
                    ways.push([way.as_slice(), std::slice::from_ref(next)].concat());
                }
            }
        }
        None
    }
}
