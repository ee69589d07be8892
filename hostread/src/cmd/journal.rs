//! `hostread journal copy` and `restore`: the system of record as a folder that can be kept elsewhere.
//! Promises: a copy is of one moment, also while the pipeline writes, and was read whole before it gets its name; a restore
//! touches nothing before it has read its copy whole, and removes nothing.
//! Leaves out: the log and the databases. The log goes on where the journal stands; a database that is ahead is emptied by
//! `hostread sinks resync`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use hostread_disk::{Disk, DiskError};
use hostread_journal::Journal;
use hostread_schemas::intern::IdHasher;
use hostread_schemas::{EventTimeMs, Tick};
use hostread_sink_archive::ArchiveSink;

use crate::config::Config;
use crate::parts::{self, ARCHIVE_DIR, JOURNAL_DIR};
use crate::say;

/// Compaction replaces files while they are copied; it rests longer than a copy takes.
const TRIES_MAX: usize = 5;
const LOCK: &str = "LOCK";
const MANIFEST: &str = "manifest";

/// What to do with the journal's folder.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum JournalCommand {
    /// Copy the journal with its archive, also while the pipeline runs; the copy is checked
    Copy(FolderArgs),
    /// Put a copy in the journal's place; the journal that was there is kept beside it
    Restore(FolderArgs),
}

/// Where the copy is.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct FolderArgs {
    /// Folder of the copy
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

/// What a folder holds.
struct Checked {
    last: Tick,
    clock: EventTimeMs,
}

/// Copies or restores.
pub(crate) async fn run(config: Config, command: JournalCommand) -> Result<bool> {
    tokio::task::spawn_blocking(move || match command {
        JournalCommand::Copy(args) => copy(&config, &args.folder),
        JournalCommand::Restore(args) => restore(&config, &args.folder),
    })
    .await?
}

fn copy(config: &Config, to: &Path) -> Result<bool> {
    let journal = config.data_dir.join(JOURNAL_DIR);
    ensure!(
        journal.join(MANIFEST).exists(),
        "there is no journal in {}",
        journal.display()
    );
    ensure!(
        !to.exists(),
        "{} is there already; name a folder that is not",
        to.display()
    );
    let partial = beside(to, "partial")?;
    for tried in 1.. {
        match try_copy(config, &journal, &partial) {
            Ok(checked) => {
                fs::rename(&partial, to)?;
                sync_parent(to)?;
                say!(
                    "{}: the journal as of tick {}, clock {}",
                    to.display(),
                    checked.last,
                    checked.clock
                );
                return Ok(true);
            }
            Err(error) if tried == TRIES_MAX => {
                return Err(error.context("the journal could not be copied; nothing was changed"));
            }
            Err(error) => tracing::info!(%tried, error = %format!("{error:#}"), "copying again"),
        }
    }
    unreachable!("the loop returns at the last try")
}

/// The archive first: the journal may be ahead of it, never behind.
fn try_copy(config: &Config, journal: &Path, to: &Path) -> Result<Checked> {
    begin_anew(to)?;
    let before = fs::read(journal.join(MANIFEST))?;
    let archive = ArchiveSink::new(parts::disk(), &journal.join(ARCHIVE_DIR));
    archive
        .copy(&parts::disk(), &to.join(ARCHIVE_DIR))
        .context("copying the archive")?;
    for name in files(journal)? {
        copy_file(&journal.join(&name), &to.join(&name))?;
    }
    let after = fs::read(journal.join(MANIFEST))?;
    ensure!(before == after, "the journal was compacted meanwhile");
    checked(config, to)
}

/// Reads a journal and its archive whole; a torn tail is cut.
fn checked(config: &Config, dir: &Path) -> Result<Checked> {
    let hasher = IdHasher::new(config.id_key_bytes()?);
    let opened = Journal::open(parts::disk(), dir, parts::new_journal_id()?, hasher)?;
    ensure!(!opened.created, "{} holds no journal", dir.display());
    let (since, last, clock) = (opened.since, opened.last, opened.clock);
    opened.journal.close()?;
    let archive = ArchiveSink::new(parts::disk(), &dir.join(ARCHIVE_DIR));
    let upper = archive.check()?.map_or(Tick(0), |progress| progress.upper);
    ensure!(
        upper.0.saturating_sub(1) >= since.0 && upper <= last.next(),
        "the archive stands at tick {upper}, the journal holds ticks {since} to {last}: they are not of one time"
    );
    Ok(Checked { last, clock })
}

fn restore(config: &Config, from: &Path) -> Result<bool> {
    ensure!(
        from.join(MANIFEST).exists(),
        "{} holds no journal",
        from.display()
    );
    let journal = config.data_dir.join(JOURNAL_DIR);
    let disk: Arc<dyn Disk> = parts::disk();
    disk.create_dir(&journal)?;
    let lock = match disk.lock(&journal.join(LOCK)) {
        Err(DiskError::Locked { .. }) => {
            bail!("a pipeline runs on {}; stop it first", journal.display())
        }
        lock => lock?,
    };
    let new = beside(&journal, "restoring")?;
    begin_anew(&new)?;
    copy_folder(from, &new)?;
    let checked = checked(config, &new)
        .with_context(|| format!("{} cannot be used; nothing was changed", from.display()))?;
    let now = jiff::Timestamp::now()
        .strftime("%Y%m%dT%H%M%SZ")
        .to_string();
    let old = beside(&journal, &format!("before-{now}"))?;
    fs::rename(&journal, &old)?;
    fs::rename(&new, &journal)?;
    sync_parent(&journal)?;
    drop(lock);
    say!(
        "the journal is that of tick {}, clock {}; the one before is kept in {}",
        checked.last,
        checked.clock,
        old.display()
    );
    say!(
        "the next start goes on from the log; databases are ahead of it now: hostread sinks resync --yes"
    );
    Ok(true)
}

/// A folder of this name with a suffix.
fn beside(dir: &Path, suffix: &str) -> Result<PathBuf> {
    let name = dir.file_name().context("the folder has no name")?;
    let name = format!("{}.{suffix}", name.to_string_lossy());
    Ok(dir.with_file_name(name))
}

/// What an earlier try left goes: nobody else has a folder of this name.
fn begin_anew(dir: &Path) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir)?;
    }
    fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))
}

/// The journal's own files, the manifest among them.
fn files(dir: &Path) -> Result<Vec<String>> {
    let names = parts::disk().list(dir)?.into_iter();
    let ours = names.filter(|name| {
        name == MANIFEST
            || ["facts-", "names-", "ticks-"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
    });
    Ok(ours.collect())
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let into = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&into)?;
            copy_folder(&entry.path(), &into)?;
        } else if entry.file_name() != LOCK {
            copy_file(&entry.path(), &into)?;
        }
    }
    File::open(to)?.sync_all()?;
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to)
        .with_context(|| format!("copying {} to {}", from.display(), to.display()))?;
    File::open(to)?.sync_all()?;
    Ok(())
}

fn sync_parent(path: &Path) -> Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(())
}
