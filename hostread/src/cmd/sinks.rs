//! `hostread sinks resync`: empties both databases; the next start of the pipeline fills them again, from the journal and its
//! archive.

use anyhow::{Context, Result, bail};
use hostread_disk::DiskError;
use hostread_journal::{Journal, JournalError};
use hostread_schemas::intern::IdHasher;

use crate::config::Config;
use crate::parts::{self, Targets};
use crate::say;

/// What to do with the databases' rows.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum SinksCommand {
    /// Empty the tables; the next start of the pipeline fills them again from the journal
    Resync(ResyncArgs),
}

/// How sure one is.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ResyncArgs {
    /// Do it; without it only say what would be done
    #[arg(long)]
    yes: bool,
}

/// Checks the journal, then empties.
pub(crate) async fn run(config: Config, command: SinksCommand) -> Result<bool> {
    let SinksCommand::Resync(args) = command;
    let targets = Targets::find(&config)?;
    no_pipeline_runs(&config).await?;
    for mut sink in parts::sinks(&targets)? {
        let name = sink.name();
        if args.yes {
            sink.migrate().await.with_context(|| {
                format!("reaching {name}; embedded databases need `hostread engines` beside this")
            })?;
            sink.clear()
                .await
                .with_context(|| format!("emptying {name}"))?;
            say!("{name}: emptied; the next start of the pipeline fills it");
        } else {
            say!("{name}: would be emptied and filled again; add --yes");
        }
    }
    Ok(true)
}

/// The journal can be opened, and its lock says that no pipeline runs.
async fn no_pipeline_runs(config: &Config) -> Result<()> {
    let dir = config.data_dir.join(parts::JOURNAL_DIR);
    let hasher = IdHasher::new(config.id_key_bytes()?);
    let id = parts::new_journal_id()?;
    let place = dir.display().to_string();
    let opened =
        tokio::task::spawn_blocking(move || Journal::open(parts::disk(), &dir, id, hasher)).await?;
    match opened {
        Ok(opened) => opened.journal.close().context("closing the journal"),
        Err(JournalError::Disk(DiskError::Locked { .. })) => {
            bail!("a pipeline runs on {place}; stop it first")
        }
        Err(error) => Err(error).with_context(|| format!("opening the journal in {place}")),
    }
}
