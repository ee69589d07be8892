//! The agents of a rule set: patterns in the order in which they are tried, of bots and of others that come before one of them.
//!
//! ```text
//!   agent ─► bots: does any match? ─ no ─► no bot
//!                 └ yes: the first ─► others: does one that is tried before it match? ─► no bot, else that bot
//! ```
//! Promises: the first pattern that matches decides; an invalid pattern is listed and matches nothing. Cost: one search for an
//! agent that no bot's pattern matches, which most are; others are asked of bots behind one only. Leaves out: watches.

use hostread_schemas::event::OtherAgent;
use hostread_schemas::fact::RuleSetFact;
use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use super::{PATTERN_BYTES_MAX, PATTERN_SET_BYTES_MAX, PATTERNS_MAX};

/// Patterns, each with the number of bots that are tried before it.
#[derive(Clone, Debug)]
struct Patterns {
    of: Matching,
    bots_before: Vec<usize>,
}

#[derive(Clone, Debug)]
enum Matching {
    Together(RegexSet),
    OneByOne(Vec<Regex>),
}

impl Patterns {
    /// Of patterns in order; those that are none go to `invalid`.
    fn compile<'a>(
        patterns: impl Iterator<Item = (&'a str, usize)>,
        invalid: &mut Vec<String>,
    ) -> Self {
        let (mut valid, mut bots_before) = (Vec::new(), Vec::new());
        for (index, (pattern, before)) in patterns.enumerate() {
            let mut builder = RegexBuilder::new(pattern);
            match builder.size_limit(PATTERN_BYTES_MAX).build() {
                Ok(regex) if index < PATTERNS_MAX => {
                    valid.push(regex);
                    bots_before.push(before);
                }
                _ => invalid.push(pattern.to_owned()),
            }
        }
        let together = RegexSetBuilder::new(valid.iter().map(Regex::as_str))
            .size_limit(PATTERN_SET_BYTES_MAX)
            .build();
        Self {
            of: together.map_or(Matching::OneByOne(valid), Matching::Together),
            bots_before,
        }
    }

    /// The first that matches, and how many bots are tried before it.
    fn first(&self, text: &str) -> Option<(&str, usize)> {
        let (at, pattern) = match &self.of {
            Matching::Together(set) => {
                // Which one is asked when one does only: most agents match none, and that is quicker to tell.
                let any = set.is_match(text);
                let at = any.then(|| set.matches(text).iter().next()).flatten()?;
                (at, set.patterns().get(at)?.as_str())
            }
            Matching::OneByOne(patterns) => {
                let mut all = patterns.iter().enumerate();
                let (at, pattern) = all.find(|(_, pattern)| pattern.is_match(text))?;
                (at, pattern.as_str())
            }
        };
        Some((pattern, *self.bots_before.get(at)?))
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Agents {
    bots: Patterns,
    others: Patterns,
    /// Patterns that are no regular expression, or too large, or too many.
    pub(super) invalid: Vec<String>,
}

impl Agents {
    pub(super) fn compile(fact: &RuleSetFact) -> Self {
        let mut invalid = Vec::new();
        let bots = fact.bot_agents.iter().map(String::as_str).zip(0..);
        let bots = Patterns::compile(bots, &mut invalid);
        let mut others: Vec<&OtherAgent> = fact.other_agents.iter().collect();
        // Stable: of those between the same bots the first stays first.
        others.sort_by_key(|other| other.bots_before);
        let others = others.into_iter();
        let others = others.map(|other| (other.pattern.as_str(), other.bots_before as usize));
        Self {
            bots,
            others: Patterns::compile(others, &mut invalid),
            invalid,
        }
    }

    /// The pattern that says bot of a text, and the one of another agent that is tried before it and says no.
    pub(super) fn told(&self, text: &str) -> Option<(&str, Option<&str>)> {
        let (bot, bots_before) = self.bots.first(text)?;
        let asked = self.others.bots_before.first();
        if asked.is_none_or(|first| *first > bots_before) {
            return Some((bot, None));
        }
        let other = self.others.first(text);
        let before = other.filter(|(_, before)| *before <= bots_before);
        Some((bot, before.map(|(pattern, _)| pattern)))
    }
}
