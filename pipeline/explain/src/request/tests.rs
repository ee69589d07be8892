#![allow(clippy::unwrap_used, reason = "tests panic")]

use hostread_schemas::event::OtherAgent;
use hostread_schemas::fact::RuleSetFact;

use super::*;
use crate::testing::{TENANT, World};
use crate::{Because, explain};

/// The request's verdict, and what the bots' filter says of it.
fn asked(agent: &str) -> (&'static str, &'static str, String) {
    let mut world = World::new(|_| {});
    let rules = RuleSetFact {
        bot_agents: vec!["^Bot".to_owned(), "okhttp".to_owned()],
        other_agents: vec![OtherAgent {
            pattern: "Radio".to_owned(),
            bots_before: 1,
        }],
        ..RuleSetFact::default()
    };
    world.say(900, FactBody::RuleSet(rules));
    let agent = FactBody::Agent(hostread_schemas::AgentId(1), agent.to_owned());
    world.say(900, agent);
    let id = world.download(1);
    let asked = Asked::Request(None, id);
    let said = world.ask(|known| explain(known, &asked, Some(TENANT)).unwrap());
    let Because::Request(request) = said.because else {
        panic!("{said:?}");
    };
    let mut filters = request.filters.into_iter();
    let bots = filters.find(|filter| filter.filter == "bot_user_agent");
    let bots = bots.unwrap();
    (request.verdict, bots.says, bots.because)
}

#[test]
fn a_bots_pattern_that_another_agents_comes_before_is_named_with_it() {
    let (verdict, says, because) = asked("Radio/1 okhttp/4");
    assert_eq!((verdict, says), ("counted", "passed"));
    assert_eq!(because, "the agent matches \"Radio\" before \"okhttp\"");
    let (verdict, says, because) = asked("BotRadio okhttp/4");
    assert_eq!((verdict, says), ("bot_user_agent", "said no"));
    assert_eq!(because, "the agent matches \"^Bot\"");
    assert_eq!(asked("Radio/1").2, "none of 2 patterns");
}
