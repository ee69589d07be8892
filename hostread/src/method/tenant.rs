//! The method of a tenant, from the journal on this machine: what its pipeline counts by.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use hostread_connectors_kit::signature::sha256_hex;
use hostread_journal::Snapshot;
use hostread_rules::Document;
use hostread_rules::document::{ListFile, Varies, parameters, shipped};
use hostread_schemas::fact::{EpisodeFact, FactBody, IncludedFact, RetentionClass, RuleSetFact};
use hostread_schemas::intern::IdHasher;
use hostread_schemas::{Day, EpisodeId, EventId, EventTimeMs, NameKind, Names};
use jiff::civil::Date;

use super::{Method, Thresholds};
use crate::config::Config;
use crate::parts;
use crate::rules::Lists;

/// What the pipeline tells beside the window of the rule set.
const BESIDE: &str = " Beside it downloads are told under first touch and last touch, in columns that name them; nothing is \
    billed or credited by these.";

/// The facts in force: of those that say the same thing the one with the highest (time, event id).
struct InForce {
    rules: Option<(EventTimeMs, EventId, RuleSetFact)>,
    episodes: BTreeMap<EpisodeId, (EventTimeMs, EventId, EpisodeFact)>,
    any: bool,
}

/// Reads it; the pipeline may be running.
pub(crate) fn read(config: &Config, tenant: &str) -> Result<Method> {
    let hasher = IdHasher::new(config.id_key_bytes()?);
    let journal = config.data_dir.join(parts::JOURNAL_DIR);
    let snapshot =
        Snapshot::read(&parts::disk(), &journal, hasher).context("reading the journal")?;
    let Some(snapshot) = snapshot else {
        bail!(
            "there is no journal in {}; --data-dir names the folder that `hostread up` or `hostread pipeline` runs on",
            config.data_dir.display()
        );
    };
    let known = in_force(&snapshot, hasher, tenant)?;
    if !known.any {
        bail!("the journal knows no rules and no catalog of {tenant}");
    }
    method(tenant, known, &snapshot.names)
}

fn in_force(snapshot: &Snapshot, hasher: IdHasher, tenant: &str) -> Result<InForce> {
    let id = hasher.tenant(tenant);
    let mut known = InForce {
        rules: None,
        episodes: BTreeMap::new(),
        any: false,
    };
    snapshot.facts(RetentionClass::Reference, Day(i32::MIN), &mut |fact| {
        if fact.tenant != id {
            return;
        }
        known.any = true;
        let order = (fact.time, fact.id);
        let newer = |time: EventTimeMs, id: EventId| (time, id) < order;
        match fact.body {
            FactBody::RuleSet(rules)
                if known
                    .rules
                    .as_ref()
                    .is_none_or(|there| newer(there.0, there.1)) =>
            {
                known.rules = Some((order.0, order.1, rules));
            }
            FactBody::Episode(episode) => {
                let there = known.episodes.get(&episode.episode);
                if there.is_none_or(|there| newer(there.0, there.1)) {
                    let of = episode.episode;
                    known.episodes.insert(of, (order.0, order.1, episode));
                }
            }
            _ => {}
        }
    })?;
    Ok(known)
}

fn method(tenant: &str, known: InForce, names: &Names) -> Result<Method> {
    let (rule_set, own, rules) = match known.rules {
        Some((time, event, rules)) => {
            let name = names.text(NameKind::RuleSet, rules.rule_set.0).to_string();
            (name, format!("event {event} of {time}"), rules)
        }
        None => {
            let rules = RuleSetFact {
                threshold_secs: 60,
                prefix_drops_range_0_1: true,
                ..RuleSetFact::default()
            };
            let own = "no rule set was published for this tenant; these hold without one";
            ("none".to_owned(), own.to_owned(), rules)
        }
    };
    let document = document(&rules, &rule_set, &own, names)?;
    let today = crate::rules::today();
    let method = Method::of_document(&document, lists(&rules), None, today)?;
    let episodes = known.episodes.values().map(|(.., episode)| episode);
    let (title, of) = (format!("{}{own}", method.title), format!("for {tenant}"));
    Ok(Method {
        windows: format!("{}{BESIDE}", method.windows),
        of,
        rule_set,
        title,
        thresholds: Some(Thresholds::of(episodes, rules.threshold_secs)),
        inclusion_elsewhere: Some(let_in(&rules, today)),
        ..method
    })
}

/// A rule set in force, with what each parameter rests on: a shipped one is cited where it says the same.
fn document(rules: &RuleSetFact, rule_set: &str, own: &str, names: &Names) -> Result<Document> {
    let name = rule_set.split('+').next().unwrap_or_default();
    let cited = shipped(name).filter(|document| document.full_name() == rule_set);
    let any = || {
        shipped("2.3").map(|document| Document {
            title: String::new(),
            ..document
        })
    };
    let is_cited = cited.is_some();
    let base = cited
        .or_else(any)
        .context("the shipped rule sets cannot be read")?;
    let host = |id: &u64| names.text(NameKind::Referrer, *id).to_string();
    let mut document = Document {
        threshold_secs: rules.threshold_secs,
        prefix_drops_range_0_1: rules.prefix_drops_range_0_1,
        ip_volume_downloads_max: rules.ip_volume_downloads_max,
        referrers_denied: rules.referrers_denied.iter().map(host).collect(),
        ..base.clone()
    };
    if is_cited {
        document.title.push_str(", ");
    }
    let differing = base.differing(&document);
    for row in parameters() {
        let differs = differing.iter().any(|(name, ..)| *name == row.parameter);
        let source = document.sources.entry(row.parameter).or_default();
        if differs || (!is_cited && row.varies == Varies::Yes) {
            own.clone_into(source);
        } else if !is_cited {
            "the engine".clone_into(source);
        }
    }
    Ok(document)
}

/// Whom the event lets in: hashes, for the document with who and why stayed behind.
fn let_in(rules: &RuleSetFact, today: Date) -> String {
    let today = Day::from_date(today);
    let holds = |entry: &&IncludedFact| entry.from <= today && today < entry.expires;
    let entries: Vec<&IncludedFact> = rules.included.iter().filter(holds).collect();
    let door = "what gateway.ip_ranges of the settings names as `included`";
    if entries.is_empty() {
        return door.to_owned();
    }
    let nets: usize = entries.iter().map(|entry| entry.nets.len()).sum();
    let addresses: usize = entries.iter().map(|entry| entry.addresses.len()).sum();
    format!(
        "{door}, and by the inclusion list of the rule set {nets} networks and {addresses} addresses"
    )
}

/// What the event brought of lists: known by their contents, for their files stayed behind.
fn lists(rules: &RuleSetFact) -> Lists {
    let list = |file: &str, lines: Vec<String>| {
        let list = ListFile {
            file: file.to_owned(),
            sha256: sha256_hex(lines.join("\n").as_bytes()),
            count: lines.len() as u64,
            date: "the event's".to_owned(),
        };
        Some(list).filter(|list| list.count > 0)
    };
    let nets = rules
        .nonhuman_nets
        .iter()
        .map(|net| format!("{:016x}", net.0));
    let bots = list(
        "patterns of the event, one a line",
        rules.bot_agents.clone(),
    );
    let nets = list("networks of the event, hashed, one a line", nets.collect());
    let others = rules.other_agents.iter();
    let others = others.map(|other| format!("{} {}", other.bots_before, other.pattern));
    let others = list(
        "patterns of the event that are tried before a bot's, one a line",
        others.collect(),
    );
    Lists {
        bots: bots.into_iter().chain(others).collect(),
        data_centres: nets.into_iter().collect(),
        ..Lists::default()
    }
}

#[cfg(test)]
mod tests {
    use hostread_schemas::event::OtherAgent;

    use super::*;

    #[test]
    fn patterns_that_are_tried_before_a_bots_are_listed_with_their_place() {
        let of = |bots_before| {
            let rules = RuleSetFact {
                bot_agents: vec!["^Bot".to_owned(), "okhttp".to_owned()],
                other_agents: vec![OtherAgent {
                    pattern: "Radio".to_owned(),
                    bots_before,
                }],
                ..RuleSetFact::default()
            };
            lists(&rules).bots
        };
        let (first, second) = (of(0), of(1));
        let counts: Vec<u64> = first.iter().map(|list| list.count).collect();
        assert_eq!(counts, [2, 1]);
        assert_eq!(first[0].sha256, second[0].sha256);
        assert_ne!(first[1].sha256, second[1].sha256, "the place is part of it");
        assert_eq!(lists(&RuleSetFact::default()).bots.len(), 0);
    }
}
