//! The filters: what a request is refused for by itself, and what that rests on (definition 3, `ip_volume` aside).

use hostread_schemas::event::{Method, SourceKind};
use hostread_schemas::fact::{EpisodeFact, ImpressionFact, RequestFact};
use hostread_schemas::view::{Evidence, Verdict};
use hostread_schemas::{AgentId, EnclosureId, EpisodeId, EventId, EventTimeMs};

use super::{Dimensions, Exposure, RequestVerdict};
use crate::rule_set::{AgentClass, CompiledRules};

/// A request that passed the filters.
#[derive(Clone, Copy)]
pub(super) struct Passed<'a> {
    pub(super) episode: &'a EpisodeFact,
    pub(super) request: &'a RequestFact,
    pub(super) time: EventTimeMs,
    /// Place in `ListenerDay::verdicts`; also the order of requests.
    pub(super) index: usize,
}

impl Passed<'_> {
    pub(super) const fn version(&self) -> (EpisodeId, EnclosureId, u64) {
        let (episode, request) = (self.episode.episode, self.request);
        (episode, request.enclosure, request.total_bytes)
    }
}

/// What the filters say of a request by itself: the first that says no, else `below_threshold`.
#[must_use]
pub fn filtered<D: Dimensions + ?Sized>(
    time: EventTimeMs,
    request: &RequestFact,
    dims: &D,
) -> Verdict {
    let mut judge = Judge::new(dims);
    judge.request(time, request).1.0
}

/// Writes the verdicts (those that passed as `below_threshold` for now).
pub(super) fn filter<'a, D: Dimensions + ?Sized>(
    exposures: &'a [(EventTimeMs, EventId, Exposure)],
    dims: &'a D,
    verdicts: &mut Vec<RequestVerdict>,
) -> Vec<Passed<'a>> {
    verdicts.reserve(exposures.len());
    let mut passed = Vec::with_capacity(exposures.len());
    let mut judge = Judge::new(dims);
    for (time, id, exposure) in exposures {
        let Exposure::Request(request) = exposure else {
            continue;
        };
        let (episode, (verdict, evidence)) = judge.request(*time, request);
        if let (Some(episode), Verdict::BelowThreshold) = (episode, verdict) {
            passed.push(Passed {
                episode,
                request,
                time: *time,
                index: verdicts.len(),
            });
        }
        let episode = episode.map_or(EpisodeId::NONE, |episode| episode.episode);
        verdicts.push(RequestVerdict {
            request: *id,
            time: *time,
            verdict,
            evidence,
            enclosure: request.enclosure,
            episode,
            sent_bytes: request.sent_bytes,
        });
    }
    passed
}

/// A verdict and what it rests on.
pub(super) type Judged = (Verdict, Evidence);

/// The filters, with the last look-ups at hand: the exposures of a listener share them.
pub(super) struct Judge<'a, D: ?Sized> {
    dims: &'a D,
    episode: Option<(EnclosureId, Option<&'a EpisodeFact>)>,
    agent: Option<(AgentId, AgentClass)>,
}

impl<'a, D: Dimensions + ?Sized> Judge<'a, D> {
    pub(super) const fn new(dims: &'a D) -> Self {
        Self {
            dims,
            episode: None,
            agent: None,
        }
    }

    fn episode_of(&mut self, enclosure: EnclosureId) -> Option<&'a EpisodeFact> {
        match self.episode {
            Some((known, episode)) if known == enclosure => episode,
            _ => {
                let episode = self.dims.episode_of(enclosure);
                self.episode = Some((enclosure, episode));
                episode
            }
        }
    }

    fn agent_class(&mut self, agent: AgentId) -> AgentClass {
        match self.agent {
            Some((known, class)) if known == agent => class,
            _ => {
                let class = self.dims.agent_class(agent);
                self.agent = Some((agent, class));
                class
            }
        }
    }

    /// The first filter that says no, else `below_threshold`.
    fn request(
        &mut self,
        time: EventTimeMs,
        request: &RequestFact,
    ) -> (Option<&'a EpisodeFact>, Judged) {
        let Some(episode) = self.episode_of(request.enclosure) else {
            return (None, (Verdict::NotAnEpisode, Evidence::None));
        };
        let rules = self.dims.rules();
        let judged = if request.method != Method::Get {
            (Verdict::Method, Evidence::Method(request.method))
        } else if !matches!(request.status, 200 | 206) {
            (Verdict::Status, Evidence::Status(request.status))
        } else if let Some(no) = self.agent(request.agent) {
            no
        } else if let Some(no) = address(rules, time, request) {
            (Verdict::NonhumanIp, no)
        } else if request.range_0_1
            && (request.source_kind == SourceKind::Cdn || rules.prefix_drops_range_0_1())
        {
            (Verdict::Range01, Evidence::None)
        } else if rules.referrer_denied(request.referrer) {
            (Verdict::Referrer, Evidence::Referrer(request.referrer))
        } else {
            (Verdict::BelowThreshold, Evidence::None)
        };
        (Some(episode), judged)
    }

    fn agent(&mut self, agent: AgentId) -> Option<Judged> {
        if !agent.is_some() {
            return Some((Verdict::NoUserAgent, Evidence::None));
        }
        match self.agent_class(agent) {
            AgentClass::Human => None,
            AgentClass::Watch => Some((Verdict::Watch, Evidence::None)),
            AgentClass::Bot(pattern) => Some((Verdict::BotUserAgent, Evidence::Pattern(pattern))),
        }
    }

    pub(super) fn human(&mut self, time: EventTimeMs, ad: &ImpressionFact) -> bool {
        let rules = self.dims.rules();
        let no = || rules.nonhuman_ip(ad.ip_class, ad.net);
        self.agent(ad.agent).is_none()
            && (no().is_none() || rules.included(time.day(), ad.net, ad.household))
    }
}

/// What says that no person listens from a request's address; the inclusion list comes first.
fn address(rules: &CompiledRules, time: EventTimeMs, request: &RequestFact) -> Option<Evidence> {
    let no = rules.nonhuman_ip(request.ip_class, request.net)?;
    (!rules.included(time.day(), request.net, request.household)).then_some(no)
}
