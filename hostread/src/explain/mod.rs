//! Why a number is what it is, of the journal on this machine: beside a pipeline that runs, or without one. Blocks.
//! Needs: the data folder of a pipeline. Promises: writes nothing; each explanation is of one state of the journal.

mod batch;
mod conversion_page;
mod lines_page;
pub(crate) mod page;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use hostread_disk::Disk;
use hostread_explain::{
    Archive, Asked, Cause, Customers, CustomersAsked, Episodes, EpisodesAsked, Explanation, Kind,
    Known, LiftAsked, Lifts, NotCounted, NotExplained, Reach, ReachAsked, ReadError, Revenue,
    RevenueAsked, Tracking, Without,
};
use hostread_gateway::{ExplainAsk, ExplainRefusal};
use hostread_journal::Snapshot;
use hostread_rules::Horizons;
use hostread_schemas::intern::IdHasher;
use hostread_schemas::view::{View, ViewClass, ViewKey, ViewValue};
use hostread_schemas::{EventId, NameKind, TenantId};
use hostread_sink_archive::ArchiveSink;

use crate::config::Config;
use crate::parts::{self, Log};

/// Explains.
pub(crate) struct Explainer {
    disk: Arc<dyn Disk>,
    journal: PathBuf,
    hasher: IdHasher,
    horizons: Horizons,
    /// Where batches are looked up; without it only events can be thought away.
    log: Option<Log>,
}

/// What is asked.
pub(crate) struct Question<'a> {
    /// Only of this tenant.
    pub(crate) tenant: Option<&'a str>,
    /// Which number.
    pub(crate) asked: &'a Asked,
    /// Also without this event or batch.
    pub(crate) without: Option<&'a str>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// There is no such row, or the id is not clear.
    Row(NotExplained),
    /// There is no such cause, or it is not known any more.
    Cause(String),
    /// There is no journal.
    NoJournal,
    /// It could not be read.
    Failed(anyhow::Error),
}

impl From<NotExplained> for NoAnswer {
    fn from(error: NotExplained) -> Self {
        match error {
            NotExplained::Read(error) => Self::Failed(anyhow!(error).context("reading")),
            error => Self::Row(error),
        }
    }
}

impl From<NotCounted> for NoAnswer {
    fn from(error: NotCounted) -> Self {
        match error {
            NotCounted::Read(error) => NotExplained::from(error).into(),
            why => Self::Cause(why.to_string()),
        }
    }
}

impl Explainer {
    /// Of the journal in the data folder. No I/O.
    pub(crate) fn new(config: &Config, log: Option<Log>) -> Result<Self> {
        Ok(Self {
            disk: parts::disk(),
            journal: config.data_dir.join(parts::JOURNAL_DIR),
            hasher: IdHasher::new(config.id_key_bytes()?),
            horizons: config.pipeline.horizons(),
            log,
        })
    }

    /// Answers a question.
    pub(crate) fn answer(&self, question: &Question<'_>) -> Result<Explanation, NoAnswer> {
        self.read(|known| {
            let tenant = question.tenant.map(|name| self.hasher.tenant(name));
            let mut explanation = hostread_explain::explain(known, question.asked, tenant)?;
            if let Some(cause) = question.without {
                let without = self.without(known, explanation.tenant_id, cause)?;
                hostread_explain::compare(known, &mut explanation, &without)?;
            }
            Ok(explanation)
        })
    }

    /// How the line items of a name are tracked, of one tenant or of all.
    pub(crate) fn tracking(
        &self,
        line: &str,
        tenant: Option<&str>,
    ) -> Result<Vec<Tracking>, NoAnswer> {
        self.read(|known| {
            let tenant = tenant.map(|name| self.hasher.tenant(name));
            let found = hostread_explain::tracking(known, line, tenant);
            found.map_err(|error| NotExplained::from(error).into())
        })
    }

    /// Whom ads reached in a period, of one tenant or of all.
    pub(crate) fn reach(&self, asked: ReachAsked, tenant: Option<&str>) -> Result<Reach, NoAnswer> {
        self.read(|known| {
            let tenant = tenant.map(|name| self.hasher.tenant(name));
            hostread_explain::reach(known, asked, tenant).map_err(NoAnswer::from)
        })
    }

    /// How many more of those converted whom campaigns of a period reached, of one tenant or of all.
    pub(crate) fn lifts(&self, asked: &LiftAsked, tenant: Option<&str>) -> Result<Lifts, NoAnswer> {
        self.read(|known| {
            let tenant = tenant.map(|name| self.hasher.tenant(name));
            hostread_explain::lifts(known, asked, tenant).map_err(NoAnswer::from)
        })
    }

    /// What episodes sold, of one tenant or of all.
    pub(crate) fn episodes(
        &self,
        asked: &EpisodesAsked,
        tenant: Option<&str>,
    ) -> Result<Episodes, NoAnswer> {
        self.read(|known| {
            let tenant = tenant.map(|name| self.hasher.tenant(name));
            hostread_explain::episodes(known, asked, tenant).map_err(NoAnswer::from)
        })
    }

    /// What was sold to new and to returning customers, of one tenant or of all.
    pub(crate) fn customers(
        &self,
        asked: CustomersAsked,
        tenant: Option<&str>,
    ) -> Result<Customers, NoAnswer> {
        self.read(|known| {
            let tenant = tenant.map(|name| self.hasher.tenant(name));
            hostread_explain::customers(known, asked, tenant).map_err(NoAnswer::from)
        })
    }

    /// What campaigns brought day by day, of one tenant or of all.
    pub(crate) fn revenue(
        &self,
        asked: RevenueAsked,
        tenant: Option<&str>,
    ) -> Result<Revenue, NoAnswer> {
        self.read(|known| {
            let tenant = tenant.map(|name| self.hasher.tenant(name));
            hostread_explain::revenue(known, asked, tenant).map_err(NoAnswer::from)
        })
    }

    /// Asks one state of the journal.
    fn read<T>(&self, ask: impl FnOnce(&Known<'_>) -> Result<T, NoAnswer>) -> Result<T, NoAnswer> {
        let snapshot = Snapshot::read(&self.disk, &self.journal, self.hasher)
            .context("reading the journal")
            .map_err(NoAnswer::Failed)?
            .ok_or(NoAnswer::NoJournal)?;
        let archive = OfFolder(ArchiveSink::new(
            Arc::clone(&self.disk),
            &self.journal.join(parts::ARCHIVE_DIR),
        ));
        ask(&Known {
            live: &snapshot,
            archive: &archive,
            names: &snapshot.names,
            hasher: self.hasher,
            horizons: self.horizons,
            tick: snapshot.last,
            clock: snapshot.clock,
            released: snapshot.released,
        })
    }

    /// Answers at the gateway's door.
    pub(crate) fn at_door(&self, ask: &ExplainAsk) -> Result<String, ExplainRefusal> {
        let kind = ask.kind.parse().ok();
        let asked = kind.and_then(|kind: Kind| Asked::parse(kind, &ask.id));
        // An id that cannot be one is one that nobody has.
        let asked = asked.ok_or(ExplainRefusal::Unknown)?;
        let answer = self.answer(&Question {
            tenant: Some(&ask.tenant),
            asked: &asked,
            without: ask.without.as_deref(),
        });
        let unclear = |field, message| ExplainRefusal::Unclear { field, message };
        match answer {
            Ok(explanation) if ask.as_text => Ok(page::page(&explanation)),
            Ok(explanation) => serde_json::to_string(&explanation).map_err(|error| {
                tracing::error!(%error, "an explanation is no JSON");
                ExplainRefusal::Away
            }),
            Err(NoAnswer::Row(NotExplained::Unknown { .. })) => Err(ExplainRefusal::Unknown),
            Err(NoAnswer::Row(error)) => Err(unclear("id", error.to_string())),
            Err(NoAnswer::Cause(message)) => Err(unclear("without", message)),
            Err(NoAnswer::NoJournal) => Err(ExplainRefusal::Away),
            Err(NoAnswer::Failed(error)) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "a number could not be explained"
                );
                Err(ExplainRefusal::Away)
            }
        }
    }

    /// The events of a cause: one event, or all that came with a batch.
    fn without(
        &self,
        known: &Known<'_>,
        tenant: TenantId,
        cause: &str,
    ) -> Result<Without, NoAnswer> {
        let event = EventId::from_hex(&cause.to_ascii_lowercase());
        let live = match event {
            Some(id) => known.live.find(id).map_err(|error| {
                let error = anyhow!(error).context("looking for the event");
                NoAnswer::Failed(error)
            })?,
            None => None,
        };
        if let (Some(id), Some(fact)) = (event, live)
            && fact.tenant == tenant
        {
            return Ok(Without {
                cause: Cause::Event(id),
                what: hostread_explain::in_words(known, &fact),
                events: [id].into(),
                instead: Vec::new(),
            });
        }
        let of = known.names.text(NameKind::Tenant, tenant.0);
        let Some(log) = &self.log else {
            let text = format!("no live event of {of} has the id {cause}");
            return Err(NoAnswer::Cause(text));
        };
        let found = batch::find(log, &of, cause, self.hasher).map_err(NoAnswer::Failed)?;
        found.ok_or_else(|| {
            NoAnswer::Cause(format!(
                "no live event of {of} has the id {cause}, and nothing in the log came with a batch of this name (the log keeps 14 days)"
            ))
        })
    }
}

/// The archive beside the journal.
struct OfFolder(ArchiveSink);

impl Archive for OfFolder {
    fn rows(
        &self,
        view: View,
        wanted: &dyn Fn(&ViewKey) -> bool,
    ) -> Result<Vec<(ViewKey, Option<ViewValue>)>, ReadError> {
        let mut known = BTreeMap::new();
        for tick in self.0.ticks(view)? {
            let rows = self.0.rows(view, tick)?.into_iter();
            for (key, value) in rows.filter(|(key, _)| wanted(key)) {
                // What is sealed is what was said first; an item that comes again leaves a newer row.
                if view.class() == ViewClass::Daily {
                    known.entry(key).or_insert(value);
                } else {
                    known.insert(key, value);
                }
            }
        }
        Ok(known.into_iter().collect())
    }

    fn ledgers(
        &self,
        wanted: &dyn Fn(&ViewKey) -> bool,
    ) -> Result<Vec<(ViewKey, ViewValue)>, ReadError> {
        let rows = self.0.ledgers()?.into_iter();
        Ok(rows.filter(|(key, _)| wanted(key)).collect())
    }
}
