//! A rule set made ready: patterns compiled once, lists sorted.
//!
//! Needs: the rule set in force (definition 2). Promises: an invalid pattern is skipped and
//! listed, never an error; lookups are binary searches. Leaves out: which rule set is in force.
//! Invariant 1: a compiled rule set judges an agent by its text alone.

mod agents;
mod included;

use std::collections::BTreeSet;

use agents::Agents;
use hostread_schemas::event::IpClass;
use hostread_schemas::fact::RuleSetFact;
use hostread_schemas::view::Evidence;
use hostread_schemas::{Day, HouseholdId, NetId, PatternId};
use included::Inclusion;

/// Larger patterns are invalid: one rule set must not take the memory of a cell.
pub(crate) const PATTERN_BYTES_MAX: usize = 1 << 20;
/// Beyond this the patterns are tried one by one: slower, same answers.
pub(crate) const PATTERN_SET_BYTES_MAX: usize = 64 << 20;
/// Further patterns are invalid. The public lists have some hundreds.
pub const PATTERNS_MAX: usize = 10_000;

/// What a known agent is, by its text.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum AgentClass {
    /// An app, a browser, or nothing that a list names.
    #[default]
    Human,
    /// A watch that fetches what its phone has fetched already.
    Watch,
    /// A bot's pattern of the rule set matches before every other.
    Bot(PatternId),
}

/// A rule set, ready to judge.
#[derive(Clone, Debug)]
pub struct CompiledRules {
    threshold_secs: u32,
    agents: Agents,
    nonhuman_nets: Vec<NetId>,
    inclusion: Inclusion,
    referrers_denied: Vec<u64>,
    prefix_drops_range_0_1: bool,
    ip_volume_downloads_max: u32,
}

/// Entries of a rule set's lists.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Lists {
    /// Networks that no person listens from.
    pub nets: BTreeSet<NetId>,
    /// Referrer hosts that do not count.
    pub referrers: BTreeSet<u64>,
}

fn of_one<T: Copy + Ord>(one: &[T], other: &[T]) -> BTreeSet<T> {
    let (one, other): (BTreeSet<T>, BTreeSet<T>) = (
        one.iter().copied().collect(),
        other.iter().copied().collect(),
    );
    one.symmetric_difference(&other).copied().collect()
}

impl Default for CompiledRules {
    fn default() -> Self {
        Self::default_rules()
    }
}

impl CompiledRules {
    /// Makes a rule set ready.
    #[must_use]
    pub fn compile(fact: &RuleSetFact) -> Self {
        let mut nonhuman_nets = fact.nonhuman_nets.clone();
        nonhuman_nets.retain(|net| net.is_some());
        nonhuman_nets.sort_unstable();
        nonhuman_nets.dedup();
        let mut referrers_denied = fact.referrers_denied.clone();
        referrers_denied.retain(|host| *host != 0);
        referrers_denied.sort_unstable();
        referrers_denied.dedup();
        Self {
            threshold_secs: fact.threshold_secs,
            agents: Agents::compile(fact),
            nonhuman_nets,
            inclusion: Inclusion::of(&fact.included),
            referrers_denied,
            prefix_drops_range_0_1: fact.prefix_drops_range_0_1,
            ip_volume_downloads_max: fact.ip_volume_downloads_max,
        }
    }

    /// The rules of a tenant without a rule set (definition 2).
    #[must_use]
    pub fn default_rules() -> Self {
        Self::compile(&RuleSetFact {
            threshold_secs: 60,
            prefix_drops_range_0_1: true,
            ..RuleSetFact::default()
        })
    }

    /// What an agent is. `text` is not empty; an empty one is nobody's and judged before.
    #[must_use]
    pub fn classify_agent(&self, text: &str) -> AgentClass {
        if is_watch(text) {
            return AgentClass::Watch;
        }
        let bot = self.bot_pattern(text);
        bot.map_or(AgentClass::Human, |pattern| {
            AgentClass::Bot(PatternId::of(pattern))
        })
    }

    /// The pattern that says bot of a text: what [`Self::classify_agent`] goes by.
    #[must_use]
    pub fn bot_pattern(&self, text: &str) -> Option<&str> {
        match self.agents.told(text)? {
            (bot, None) => Some(bot),
            (_, Some(_)) => None,
        }
    }

    /// The pattern of other agents for which a text is no bot's, and the one of a bot that it comes before.
    #[must_use]
    pub fn other_pattern(&self, text: &str) -> Option<(&str, &str)> {
        let (bot, other) = self.agents.told(text)?;
        Some((other?, bot))
    }

    /// Patterns that are no regular expression, or too large, or too many: they match nothing.
    #[must_use]
    pub fn invalid(&self) -> &[String] {
        &self.agents.invalid
    }

    /// Seconds of audio that make a download.
    #[must_use]
    pub const fn threshold_secs(&self) -> u32 {
        self.threshold_secs
    }

    /// Downloads of an IP* on a day above which it loses all of them; 0 = off.
    #[must_use]
    pub const fn ip_volume_downloads_max(&self) -> u32 {
        self.ip_volume_downloads_max
    }

    /// A request of a prefix source for bytes 0-1 does not count.
    #[must_use]
    pub const fn prefix_drops_range_0_1(&self) -> bool {
        self.prefix_drops_range_0_1
    }

    /// What says that no person listens from an address, if anything does (definition 3, `nonhuman_ip`).
    #[must_use]
    pub fn nonhuman_ip(&self, class: IpClass, net: NetId) -> Option<Evidence> {
        match class {
            IpClass::Included => None,
            IpClass::DataCentre | IpClass::Vpn => Some(Evidence::IpClass(class)),
            IpClass::Relay | IpClass::Cellular | IpClass::Office | IpClass::Residential => {
                let listed = self.nonhuman_nets.binary_search(&net).is_ok();
                listed.then_some(Evidence::Net(net))
            }
        }
    }

    /// Does the rule set let an address in on a day, whatever its class (definition 3)? A class `included` of the door's own does so
    /// without it.
    #[must_use]
    pub fn included(&self, day: Day, net: NetId, address: HouseholdId) -> bool {
        self.inclusion.holds(day, net, address)
    }

    /// Do two rule sets let in the same on the same days?
    #[must_use]
    pub fn includes_as(&self, other: &Self) -> bool {
        self.inclusion == other.inclusion
    }

    /// Do requests with this referrer host not count?
    #[must_use]
    pub fn referrer_denied(&self, host: u64) -> bool {
        self.referrers_denied.binary_search(&host).is_ok()
    }

    /// Networks and referrer hosts that only one of two rule sets lists; `None` when they differ in more than lists, so that
    /// any exposure may be judged differently. Agents are compared by their class, inclusion lists by the day
    /// ([`Self::included`]).
    #[must_use]
    pub fn listed_by_one(&self, other: &Self) -> Option<Lists> {
        let scalars = |rules: &Self| {
            (
                rules.threshold_secs,
                rules.prefix_drops_range_0_1,
                rules.ip_volume_downloads_max,
            )
        };
        (scalars(self) == scalars(other)).then(|| Lists {
            nets: of_one(&self.nonhuman_nets, &other.nonhuman_nets),
            referrers: of_one(&self.referrers_denied, &other.referrers_denied),
        })
    }

    /// Does a household with so many downloads on a day, those of included addresses aside, lose them
    /// all (definition 3, `ip_volume`)?
    #[must_use]
    pub const fn ip_volume_exceeded(&self, downloads: u64) -> bool {
        self.ip_volume_downloads_max != 0 && downloads > self.ip_volume_downloads_max as u64
    }
}

fn is_watch(text: &str) -> bool {
    (text.starts_with("atc/") && text.contains("watchOS")) || text.contains("(null)/(null) watchOS")
}

#[cfg(test)]
mod tests {
    use hostread_schemas::event::OtherAgent;

    use super::*;

    fn rules(patterns: &[&str]) -> CompiledRules {
        CompiledRules::compile(&RuleSetFact {
            bot_agents: patterns.iter().map(ToString::to_string).collect(),
            nonhuman_nets: vec![NetId(9), NetId(3), NetId(0), NetId(9)],
            referrers_denied: vec![8, 2, 0],
            ip_volume_downloads_max: 100,
            ..RuleSetFact::default()
        })
    }

    fn bot(pattern: &str) -> AgentClass {
        AgentClass::Bot(PatternId::of(pattern))
    }

    #[test]
    fn watches() {
        let watch = [
            "atc/1.0 watchOS/7.1 model/Watch4,2 hwp/t8006 build/18R590 (6; dt:191)",
            "(null)/(null) watchOS/5.0.1 model/Watch3,3 hwp/t8004 build/16R381 (6; dt:155)",
            "Something (null)/(null) watchOS/9.0",
            "atc/1.0 watchOS/10.5",
        ];
        let other = [
            "atc/1.0",
            "SomeApp/2.0 watchOS/10.5 model/Watch6,7",
            "xatc/1.0 watchOS/10.5",
            "ATC/1.0 watchOS/10.5",
            "AppleCoreMedia/1.0.0.21F90 (iPhone; U; CPU OS 17_5_1 like Mac OS X; en_us)",
        ];
        let rules = rules(&["^atc/"]);
        for text in watch {
            assert_eq!(rules.classify_agent(text), AgentClass::Watch, "{text}");
        }
        let bots = other.map(|text| rules.classify_agent(text) == bot("^atc/"));
        assert_eq!(
            bots,
            [true, false, false, false, false],
            "watch comes before bot"
        );
    }

    #[test]
    fn an_invalid_pattern_is_listed_and_the_others_work() {
        let rules = rules(&["Googlebot", "(", "(?:a{1000}){1000}", r"^curl/\d"]);
        assert_eq!(rules.invalid(), ["(", "(?:a{1000}){1000}"]);
        assert_eq!(rules.classify_agent("x Googlebot/2.1"), bot("Googlebot"));
        assert_eq!(rules.classify_agent("curl/8.1"), bot(r"^curl/\d"));
        assert_eq!(
            rules.classify_agent("curl/8.1 Googlebot"),
            bot("Googlebot"),
            "the first of the list, wherever it matches"
        );
        assert_eq!(rules.classify_agent("curl/x"), AgentClass::Human);
        assert_eq!(rules.bot_pattern("curl/x"), None);
        assert_eq!(
            CompiledRules::default().classify_agent("curl/8"),
            AgentClass::Human
        );
    }

    #[test]
    fn an_agent_that_is_tried_before_a_bot_is_none() {
        let other = |pattern: &str, bots_before| OtherAgent {
            pattern: pattern.to_owned(),
            bots_before,
        };
        let rules = CompiledRules::compile(&RuleSetFact {
            bot_agents: ["^Bad", "(", "okhttp", "[Rr]obot"]
                .map(str::to_owned)
                .to_vec(),
            // In no order: the place counts.
            other_agents: vec![
                other("Radio", 3),
                other("Player", 2),
                other("(", 2),
                other("Bad", 1),
            ],
            ..RuleSetFact::default()
        });
        assert_eq!(rules.invalid(), ["(", "("]);
        for (text, expected) in [
            ("BadPlayer okhttp", bot("^Bad")),
            ("Not Bad okhttp", AgentClass::Human),
            ("Player okhttp", AgentClass::Human),
            ("Player Robot", AgentClass::Human),
            ("Radio okhttp", bot("okhttp")),
            ("Radio Robot", AgentClass::Human),
            ("Robot", bot("[Rr]obot")),
            ("Radio", AgentClass::Human),
        ] {
            assert_eq!(rules.classify_agent(text), expected, "{text}");
            let told = rules.bot_pattern(text).map(bot);
            assert_eq!(told.unwrap_or_default(), expected, "{text}");
        }
        assert_eq!(
            rules.other_pattern("Radio Robot"),
            Some(("Radio", "[Rr]obot"))
        );
        assert_eq!(rules.other_pattern("Radio okhttp"), None);
        assert_eq!(rules.other_pattern("Radio"), None);
    }

    #[test]
    fn what_only_one_of_two_rule_sets_lists() {
        let fact = RuleSetFact {
            threshold_secs: 60,
            nonhuman_nets: vec![NetId(5), NetId(3)],
            referrers_denied: vec![2],
            ..RuleSetFact::default()
        };
        let compiled = |change: &dyn Fn(&mut RuleSetFact)| {
            let mut fact = fact.clone();
            change(&mut fact);
            CompiledRules::compile(&fact)
        };
        let rules = compiled(&|_| {});
        let relisted = compiled(&|fact| {
            fact.nonhuman_nets = vec![NetId(3), NetId(9)];
            fact.referrers_denied.push(7);
            fact.bot_agents.push("x".to_owned());
        });
        let expected = Lists {
            nets: [NetId(5), NetId(9)].into(),
            referrers: [7].into(),
        };
        assert_eq!(rules.listed_by_one(&relisted), Some(expected.clone()));
        assert_eq!(relisted.listed_by_one(&rules), Some(expected));
        assert_eq!(rules.listed_by_one(&rules), Some(Lists::default()));
        let others: [&dyn Fn(&mut RuleSetFact); 3] = [
            &|fact| fact.threshold_secs = 30,
            &|fact| fact.prefix_drops_range_0_1 = true,
            &|fact| fact.ip_volume_downloads_max = 9,
        ];
        for change in others {
            assert_eq!(rules.listed_by_one(&compiled(change)), None);
        }
    }

    #[test]
    fn addresses() {
        let rules = rules(&[]);
        let class = |class| Some(Evidence::IpClass(class));
        let net = |net| Some(Evidence::Net(NetId(net)));
        for (of, at, evidence) in [
            (IpClass::Vpn, 1, class(IpClass::Vpn)),
            (IpClass::DataCentre, 3, class(IpClass::DataCentre)),
            (IpClass::Residential, 3, net(3)),
            (IpClass::Relay, 9, net(9)),
            (IpClass::Relay, 1, None),
            (IpClass::Included, 9, None),
            // No network is on no list.
            (IpClass::Residential, 0, None),
        ] {
            assert_eq!(rules.nonhuman_ip(of, NetId(at)), evidence, "{of:?} {at}");
        }
        assert!(rules.referrer_denied(2) && !rules.referrer_denied(0));
        assert!(rules.ip_volume_exceeded(101));
        assert!(!rules.ip_volume_exceeded(100));
        assert!(!CompiledRules::default().ip_volume_exceeded(1_000_000));
    }
}
