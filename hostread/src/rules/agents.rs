//! Lists of agents as files: the shipped ones, or a folder. What `hostread lists import` writes has a `lists.json` beside the
//! lists, which says of each file when it is from and what it held.
//! Promises: a folder with a `lists.json` holds what was imported, or is refused by the file that differs.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use hostread_connectors_kit::signature::sha256_hex;
use hostread_rules::agents::{AgentFile, AgentLists, FILE_BYTES_MAX, SHIPPED_DATE, shipped_files};
use hostread_rules::document::ListFile;
use hostread_schemas::EventTimeMs;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// Stands beside lists that were imported.
const MANIFEST: &str = "lists.json";
/// Stands for no lists, in place of a folder.
const NONE: &str = "none";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    imported: String,
    files: Vec<ListFile>,
}

/// Lists that were read, with what each file is known by.
pub(crate) struct AgentFiles {
    pub(crate) lists: AgentLists,
    pub(crate) files: Vec<(AgentFile, ListFile)>,
}

impl AgentFiles {
    /// Those that ship with the product.
    pub(crate) fn shipped() -> Result<Self> {
        let file = |file: AgentFile, bytes: &[u8]| ListFile {
            file: format!("hostread/{}", file.name()),
            sha256: sha256_hex(bytes),
            count: 0,
            date: SHIPPED_DATE.to_owned(),
        };
        let all = shipped_files().map(|(of, bytes)| (of, (bytes.to_vec(), file(of, bytes))));
        Self::of(&all.into_iter().collect())
    }

    /// Those of a folder where one is named, else the shipped ones; nothing where the name is `none`.
    pub(crate) fn read_or_shipped(folder: Option<&Path>) -> Result<Option<Self>> {
        match folder {
            None => Self::shipped().map(Some),
            Some(none) if none.as_os_str() == NONE => Ok(None),
            Some(folder) => Self::read(folder).map(Some),
        }
    }

    /// Those of a folder; `bots.json` must be there, a list that is not has no entries.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let found = found_in(folder)?;
        if !found.contains_key(&AgentFile::Bots) {
            let place = folder.display();
            bail!("there is no bots.json in {place}; a folder of lists has one");
        }
        let mut files = BTreeMap::new();
        for (of, path) in found {
            files.insert(of, read(&path)?);
        }
        if let Some(manifest) = manifest(folder)? {
            for (bytes, file) in files.values_mut() {
                let known = manifest.files.iter().find(|known| known.file == file.file);
                let Some(known) = known.filter(|known| known.sha256 == file.sha256) else {
                    let path = folder.join(&file.file);
                    let (path, sha256) = (path.display(), sha256_hex(bytes));
                    bail!(
                        "{path} with SHA-256 {sha256} is not what was imported; import the lists again"
                    );
                };
                file.date.clone_from(&known.date);
            }
        }
        Self::of(&files).with_context(|| format!("reading the lists in {}", folder.display()))
    }

    fn of(files: &BTreeMap<AgentFile, (Vec<u8>, ListFile)>) -> Result<Self> {
        let bytes = files.iter().map(|(of, (bytes, _))| (*of, bytes.as_slice()));
        let lists = AgentLists::read(bytes)?;
        let files = files.iter().map(|(of, (_, file))| {
            let count = lists.entries(*of).len() as u64;
            let file = file.clone();
            (*of, ListFile { count, ..file })
        });
        Ok(Self {
            files: files.collect(),
            lists,
        })
    }

    /// Files of the lists that say which agents are bots, or of the others.
    pub(crate) fn files(&self, decide: bool) -> Vec<ListFile> {
        let files = self.files.iter();
        let files = files.filter(|(of, _)| of.decides() == decide);
        files.map(|(_, file)| file.clone()).collect()
    }

    /// Puts a copy of lists into a folder, in place of those that are there. Nothing is written when one cannot be applied.
    pub(crate) fn import(
        from: &[PathBuf],
        to: &Path,
        date: Option<Date>,
        today: Date,
    ) -> Result<Self> {
        let mut files = BTreeMap::new();
        for (of, path) in given(from)? {
            let (bytes, mut file) = read(&path)?;
            if let Some(date) = date {
                file.date = date.to_string();
            }
            if files.insert(of, (bytes, file)).is_some() {
                bail!("{} is given twice", of.name());
            }
        }
        if !files.contains_key(&AgentFile::Bots) {
            bail!("there is no bots.json among them, which says who is no person");
        }
        let checked = Self::of(&files)?;
        let manifest = Manifest {
            imported: today.to_string(),
            files: checked.files.iter().map(|(_, file)| file.clone()).collect(),
        };
        std::fs::create_dir_all(to).with_context(|| format!("creating {}", to.display()))?;
        for of in AgentFile::ALL {
            let path = to.join(of.name());
            match files.get(&of) {
                Some((bytes, _)) => replace(&path, bytes)?,
                None => remove(&path)?,
            }
        }
        let manifest = format!("{}\n", serde_json::to_string_pretty(&manifest)?);
        replace(&to.join(MANIFEST), manifest.as_bytes())?;
        Ok(checked)
    }
}

/// The lists in a folder, by their files' names.
fn found_in(folder: &Path) -> Result<BTreeMap<AgentFile, PathBuf>> {
    let mut found = BTreeMap::new();
    let reading = || format!("reading {}", folder.display());
    for entry in std::fs::read_dir(folder).with_context(reading)? {
        let name = entry.with_context(reading)?.file_name();
        if let Some(of) = name.to_str().and_then(AgentFile::named) {
            found.insert(of, folder.join(name));
        }
    }
    Ok(found)
}

/// The lists that are named, each alone or by its folder.
fn given(from: &[PathBuf]) -> Result<Vec<(AgentFile, PathBuf)>> {
    let mut given = Vec::new();
    for path in from {
        if path.is_dir() {
            given.extend(found_in(path)?);
            continue;
        }
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(of) = name.and_then(AgentFile::named) else {
            let names = AgentFile::ALL.map(AgentFile::name).join(", ");
            bail!(
                "{} has the name of no list; lists are {names}",
                path.display()
            );
        };
        given.push((of, path.clone()));
    }
    Ok(given)
}

fn manifest(folder: &Path) -> Result<Option<Manifest>> {
    let path = folder.join(MANIFEST);
    let reading = || format!("reading {}", path.display());
    match std::fs::read(&path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes).with_context(reading)?)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(reading),
    }
}

/// A file, and what it is known by; its entries are still to be counted.
pub(super) fn read(path: &Path) -> Result<(Vec<u8>, ListFile)> {
    let reading = || format!("reading {}", path.display());
    let file = std::fs::File::open(path).with_context(reading)?;
    let modified = file.metadata().and_then(|known| known.modified());
    let modified = Timestamp::try_from(modified.with_context(reading)?).unwrap_or_default();
    let mut bytes = Vec::new();
    let most = FILE_BYTES_MAX as u64 + 1;
    file.take(most)
        .read_to_end(&mut bytes)
        .with_context(reading)?;
    if bytes.len() > FILE_BYTES_MAX {
        bail!("{} is larger than {FILE_BYTES_MAX} bytes", path.display());
    }
    let name = path.file_name().unwrap_or_default();
    let file = ListFile {
        file: name.to_string_lossy().into_owned(),
        sha256: sha256_hex(&bytes),
        count: 0,
        date: EventTimeMs(modified.as_millisecond()).day().to_string(),
    };
    Ok((bytes, file))
}

/// Writes a file as a whole: a reader finds the old one or the new one.
fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let writing = || format!("writing {}", path.display());
    let beside = path.with_extension("json.new");
    std::fs::write(&beside, bytes).with_context(writing)?;
    std::fs::rename(&beside, path).with_context(writing)
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;
    use jiff::civil::date;

    const BOTS: &str = r#"{"entries": [{"name": "Bot", "pattern": "[Bb]ot"}]}"#;
    const NONE: &str = r#"{"entries": []}"#;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    fn import(from: &Path, to: &Path) -> Result<AgentFiles> {
        let today = date(2026, 11, 22);
        AgentFiles::import(&[from.to_owned()], to, Some(date(2026, 8, 6)), today)
    }

    #[test]
    fn a_copy_has_its_date_and_is_refused_when_it_was_changed() {
        let from = folder(&[
            ("bots.json", BOTS),
            ("libraries.json", NONE),
            ("notes.txt", ""),
        ]);
        let to = folder(&[]);
        let to = to.path().join("lists");
        import(from.path(), &to).unwrap();
        let read = AgentFiles::read(&to).unwrap();
        let said = |file: &ListFile| (file.file.clone(), file.count, file.date.clone());
        let bots = ("bots.json".to_owned(), 1, "2026-08-06".to_owned());
        assert_eq!(said(&read.files(true)[0]), bots);
        assert_eq!(read.lists.patterns().bots, ["[Bb]ot"]);
        std::fs::write(to.join("libraries.json"), format!("{NONE} ")).unwrap();
        let why = AgentFiles::read(&to).err().unwrap().to_string();
        assert!(
            why.contains("libraries.json") && why.contains("is not what was imported"),
            "{why}"
        );
        // What the next copy lacks goes.
        let from = folder(&[("bots.json", BOTS)]);
        import(from.path(), &to).unwrap();
        assert_eq!(AgentFiles::read(&to).unwrap().files(true).len(), 1);
    }

    #[test]
    fn what_cannot_be_applied_writes_nothing() {
        let to = folder(&[("bots.json", BOTS)]);
        let bad = r#"{"entries": [{"name": "Bad", "pattern": "("}]}"#;
        let from = folder(&[("bots.json", BOTS), ("apps.json", bad)]);
        let why = import(from.path(), to.path()).err().unwrap().to_string();
        assert_eq!(
            why,
            "apps.json: entries[0] \"Bad\": its pattern: unclosed group"
        );
        assert!(!to.path().join(MANIFEST).exists() && !to.path().join("apps.json").exists());
        let from = folder(&[("apps.json", NONE)]);
        let why = import(from.path(), to.path()).err().unwrap().to_string();
        assert!(why.contains("no bots.json"), "{why}");
        let twice = [from.path().to_owned(), from.path().join("apps.json")];
        let why = AgentFiles::import(&twice, to.path(), None, date(2026, 11, 22));
        assert_eq!(why.err().unwrap().to_string(), "apps.json is given twice");
        let other = [from.path().join("others.json")];
        let why = AgentFiles::import(&other, to.path(), None, date(2026, 11, 22));
        assert!(
            why.err()
                .unwrap()
                .to_string()
                .contains("lists are bots.json")
        );
    }
}
