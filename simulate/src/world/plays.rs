//! Plays a scenario: requests, the download, the ads in it and the impressions that report them.
//!
//! Invariant 1: a listener, episode and day are played once, so the scenario's answer stands.
//! Invariant 2: no two downloads of a household begin in the same second.

use hostread_schemas::event::ControllingSource;
use hostread_schemas::view::Verdict;

use super::catalog::{Aim, LUMEN_PARTNER, PARTNER_EPISODES, PARTNER_SHOW};
use super::people::Touch;
use super::scenario::{self, Draft, Script};
use super::{DAY_SECS, Delivery, Download, Impression, Request, TenantWorld};
use crate::rng::Rng;

/// A play never begins nearer to a midnight than this.
const QUIET_SECS: i64 = 1_800;
/// Longest time that a scenario takes.
const PLAY_SECS_MAX: i64 = 3_600;

/// A time on the day of `secs`, away from both midnights.
pub(super) fn daytime(secs: i64, rng: &mut Rng) -> i64 {
    let day = secs.div_euclid(DAY_SECS) * DAY_SECS;
    let (first, last) = (
        day + QUIET_SECS,
        day + DAY_SECS - QUIET_SECS - PLAY_SECS_MAX,
    );
    if (first..last).contains(&secs) {
        secs
    } else {
        rng.range(first, last)
    }
}

/// Who fetches what, when.
#[derive(Clone, Debug)]
pub(super) struct Who {
    pub(super) home: usize,
    pub(super) agent: String,
    pub(super) episode: usize,
}

impl TenantWorld {
    /// A drawn scenario at about `secs`.
    pub(super) fn play(&mut self, who: &Who, secs: i64, rng: &mut Rng) {
        let script = scenario::draw(&self.catalog.episodes[who.episode], rng);
        let begin = daytime(secs, rng);
        self.run(who, begin, &script, rng);
    }

    /// One response with everything in it.
    pub(super) fn play_plain(&mut self, who: &Who, secs: i64, rng: &mut Rng) {
        let script = scenario::plain(&self.catalog.episodes[who.episode]);
        self.run(who, secs, &script, rng);
    }

    /// Over the midnight that ends the day of `secs`.
    pub(super) fn play_midnight(&mut self, who: &Who, secs: i64, rng: &mut Rng) {
        let midnight = (secs.div_euclid(DAY_SECS) + 1) * DAY_SECS;
        let (evening, morning) = scenario::midnight(&self.catalog.episodes[who.episode], rng);
        self.run(who, midnight - rng.range(5, 200), &evening, rng);
        self.run(who, midnight + rng.range(0, 200), &morning, rng);
    }

    fn run(&mut self, who: &Who, begin: i64, script: &Script, rng: &mut Rng) {
        let day = begin.div_euclid(DAY_SECS);
        let key = (who.home, who.agent.clone(), who.episode, day);
        if begin >= self.last_secs || !self.played.insert(key) {
            return;
        }
        let passed = script.drafts.iter().filter(|draft| draft.dropped.is_none());
        let Some(first) = passed.map(|draft| draft.after).min() else {
            self.send(who, begin, script, rng);
            return;
        };
        let mut begin = begin;
        while !script.arrived.is_empty() && !self.homes[who.home].begun.insert(begin + first) {
            begin += 1;
        }
        self.send(who, begin, script, rng);
        let t0 = begin + first;
        if script.arrived.is_empty() {
            // Reported although too little arrived: delivers nothing.
            if rng.chance(1, 10) {
                self.report(who, t0, rng);
            }
            return;
        }
        self.downloads.push(Download {
            episode: who.episode,
            secs: t0,
        });
        let episode = &self.catalog.episodes[who.episode];
        let inside = |first: u64, last: u64| {
            let holds = |&(a, b): &(u64, u64)| a <= first && last < b;
            script.arrived.iter().any(holds)
        };
        let slots = episode.slots.iter().filter(|slot| !slot.removed);
        let heard: Vec<usize> = slots
            .filter(|slot| inside(slot.first, slot.last))
            .map(|slot| slot.line)
            .collect();
        for line in heard {
            self.deliver(who, line, t0);
        }
        if rng.chance(85, 100)
            && let Some(line) = self.report(who, t0, rng)
        {
            self.deliver(who, line, t0);
        }
    }

    fn deliver(&mut self, who: &Who, line: usize, secs: i64) {
        let episode = &self.catalog.episodes[who.episode];
        let show = self.catalog.shows[episode.show].name.clone();
        self.deliveries.push(Delivery {
            line,
            episode: Some(who.episode),
            secs,
        });
        self.homes[who.home]
            .touches
            .push(Touch { secs, line, show });
    }

    /// Impressions of the episode's reported line item; says which line they deliver.
    fn report(&mut self, who: &Who, t0: i64, rng: &mut Rng) -> Option<usize> {
        let episode = &self.catalog.episodes[who.episode];
        let line = episode.reported?;
        let plan = &self.catalog.lines[line];
        debug_assert_eq!(plan.controlling, ControllingSource::Impressions);
        let stalled = plan.aim == Aim::Stalled && t0 >= self.stall_secs;
        let secs = t0 + rng.range(3, 300);
        if stalled || secs.div_euclid(DAY_SECS) != t0.div_euclid(DAY_SECS) {
            return None;
        }
        let mut impression = Impression {
            secs,
            line: plan.name.to_owned(),
            show: self.catalog.shows[episode.show].name.clone(),
            episode: episode.name.clone(),
            confirmed: false,
            ip: self.homes[who.home].address.text(rng),
            agent: who.agent.clone(),
        };
        self.impression(who.home, impression.clone());
        if rng.chance(1, 5) {
            impression.secs += rng.range(1, 60);
            impression.confirmed = rng.chance(3, 4);
            if impression.secs.div_euclid(DAY_SECS) == t0.div_euclid(DAY_SECS) {
                self.impression(who.home, impression);
            }
        }
        Some(line)
    }

    /// An ad in an episode of a partner, of which only the impression is known.
    pub(super) fn partner(&mut self, home: usize, secs: i64, rng: &mut Rng) {
        let mut secs = daytime(secs, rng);
        if secs >= self.last_secs {
            return;
        }
        let agent = rng.pick(&self.homes[home].agents).clone();
        let number = rng.below(PARTNER_EPISODES);
        let day = secs.div_euclid(DAY_SECS);
        // Partner episodes have numbers that no episode of the catalog has.
        let key = (home, agent.clone(), usize::MAX - number as usize, day);
        if !self.played.insert(key) {
            return;
        }
        while !self.homes[home].begun.insert(secs) {
            secs += 1;
        }
        let impression = Impression {
            secs,
            line: self.catalog.lines[LUMEN_PARTNER].name.to_owned(),
            show: PARTNER_SHOW.to_owned(),
            episode: format!("{PARTNER_SHOW}-{number}"),
            confirmed: false,
            ip: self.homes[home].address.text(rng),
            agent,
        };
        if rng.chance(1, 6) {
            let mut again = impression.clone();
            again.secs += rng.range(30, 600);
            self.impression(home, again);
        }
        self.impression(home, impression);
        self.deliveries.push(Delivery {
            line: LUMEN_PARTNER,
            episode: None,
            secs,
        });
        self.homes[home].touches.push(Touch {
            secs,
            line: LUMEN_PARTNER,
            show: PARTNER_SHOW.to_owned(),
        });
    }

    pub(super) fn impression(&mut self, home: usize, impression: Impression) {
        self.homes[home].saw(impression.secs, &impression.agent);
        self.impressions.push(impression);
    }

    fn send(&mut self, who: &Who, begin: i64, script: &Script, rng: &mut Rng) {
        let verdict = if script.arrived.is_empty() {
            Verdict::BelowThreshold
        } else {
            Verdict::Counted
        };
        for draft in &script.drafts {
            self.send_one(who, begin, draft, verdict, rng);
        }
    }

    fn send_one(&mut self, who: &Who, begin: i64, draft: &Draft, verdict: Verdict, rng: &mut Rng) {
        let episode = &self.catalog.episodes[who.episode];
        let address = &self.homes[who.home].address;
        let ip = if draft.mapped {
            address.mapped(rng)
        } else {
            address.text(rng)
        };
        let asked = draft
            .range
            .map_or(episode.size, |(first, last)| last + 1 - first);
        let has_body = draft.method == "GET" && matches!(draft.status, 200 | 206);
        let request = Request {
            secs: begin + draft.after,
            ip,
            agent: who.agent.clone(),
            path: episode.path.clone(),
            method: draft.method,
            status: draft.status,
            range: draft.range,
            asked,
            sent: if has_body {
                draft.cut_at.unwrap_or(asked)
            } else {
                0
            },
            referrer: draft.referrer,
            verdict: draft.dropped.unwrap_or(verdict),
        };
        self.request(who.home, request);
    }

    pub(super) fn request(&mut self, home: usize, request: Request) {
        self.homes[home].saw(request.secs, &request.agent);
        self.requests.push(request);
    }

    /// A request for all of an episode that `verdict` drops.
    pub(super) fn dropped(&mut self, who: &Who, secs: i64, verdict: Verdict, rng: &mut Rng) {
        let mut script = scenario::plain(&self.catalog.episodes[who.episode]);
        script.arrived.clear();
        for draft in &mut script.drafts {
            draft.dropped = Some(verdict);
        }
        let begin = daytime(secs, rng);
        self.send(who, begin, &script, rng);
    }
}
