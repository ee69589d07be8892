//! The public agent lists: every example is known by its own entry, and what they call a bot is a bot under a rule set made of them.

use std::path::Path;

use hostread_rules::agents::{AgentFile, AgentLists, AgentPatterns, shipped_files};
use hostread_rules::{AgentClass, CompiledRules};
use hostread_schemas::fact::RuleSetFact;

use super::{folder, json, list, word};

const OF_AGENTS: [AgentFile; 4] = [
    AgentFile::Bots,
    AgentFile::Apps,
    AgentFile::Libraries,
    AgentFile::Browsers,
];

/// The lists of the folder.
pub(super) fn lists(dir: &Path) -> AgentLists {
    let read = |file: AgentFile| {
        let path = dir.join("user-agents-v2").join(file.name());
        (file, std::fs::read(path).unwrap())
    };
    let files = AgentFile::ALL.map(read);
    let files = files.iter().map(|(file, bytes)| (*file, bytes.as_slice()));
    AgentLists::read(files).unwrap()
}

/// Patterns of bots, and of what is tried before one.
pub(super) fn patterns(dir: &Path) -> AgentPatterns {
    lists(dir).patterns()
}

#[test]
fn every_example_is_known_by_its_own_entry() {
    let Some(dir) = folder() else {
        return;
    };
    let lists = lists(&dir);
    let of = |files: &[AgentFile]| {
        let (mut tried, mut shadowed) = (0, Vec::new());
        for file in files {
            let (of_file, of_others) = lists.try_examples(*file);
            tried += of_file;
            shadowed.extend(of_others);
        }
        (tried, shadowed)
    };
    assert_eq!(of(&OF_AGENTS), (1_420, Vec::new()));
    assert_eq!(of(&[AgentFile::Referrers]), (113, Vec::new()));
    // The lists themselves: the iPhone's pattern takes every CFNetwork of that Darwin, and stands before the watch's.
    let (tried, shadowed) = of(&[AgentFile::Devices]);
    assert_eq!((tried, shadowed.len()), (154, 1), "{shadowed:?}");
    let watch = &shadowed[0];
    assert_eq!(watch.name, "Apple Watch");
    assert_eq!(watch.by.as_deref(), Some("Apple iPhone"));
    assert_eq!(
        watch.example,
        "Watch/1140 CFNetwork/3860.200.71 Darwin/25.1.0"
    );
}

#[test]
fn an_agent_has_a_device_and_a_browser_a_referrer() {
    let Some(dir) = folder() else {
        return;
    };
    let lists = lists(&dir);
    let (mut devices, mut bots) = (0, 0);
    for file in OF_AGENTS {
        for entry in lists.entries(file) {
            for example in &entry.examples {
                let said = lists.classify(example);
                let known = said.agent.unwrap();
                bots += usize::from(known.is_bot());
                devices += usize::from(said.device.is_some());
                assert!(!known.is_bot() || said.device.is_none(), "{example}");
                let pages = lists.entries(AgentFile::Referrers).iter();
                let page = pages.flat_map(|page| &page.examples).next().unwrap();
                let referrer = lists.referrer(said.agent, page);
                assert_eq!(
                    referrer.is_some(),
                    known.file == AgentFile::Browsers,
                    "{example}"
                );
            }
        }
    }
    assert!(
        bots >= 342 && devices > 500,
        "{bots} bots, {devices} devices"
    );
}

/// Of agents that the public lists know: how many of their bots our own lists find, and how many others they take for bots.
#[test]
fn our_own_lists_take_nearly_nobody_for_a_bot() {
    let Some(dir) = folder() else {
        return;
    };
    let (lists, own) = (lists(&dir), AgentLists::read(shipped_files()).unwrap());
    let (mut bots, mut found, mut others, mut wrong) = (0, 0, 0, Vec::new());
    for file in OF_AGENTS {
        for entry in lists.entries(file) {
            for example in &entry.examples {
                let said = own.classify(example).agent.is_some_and(|it| it.is_bot());
                match (file.is_bot(entry), said) {
                    (true, said) => (bots, found) = (bots + 1, found + usize::from(said)),
                    (false, false) => others += 1,
                    (false, true) => wrong.push(&entry.name),
                }
            }
        }
    }
    assert_eq!((bots, others + wrong.len()), (381, 1_039));
    assert!(found >= 216, "{found} of {bots} bots are found");
    assert!(wrong.len() <= 1, "taken for bots: {wrong:?}");
}

#[test]
fn a_rule_set_made_of_them_says_the_same() {
    let Some(dir) = folder() else {
        return;
    };
    let lists = lists(&dir);
    let patterns = lists.patterns();
    let rules = CompiledRules::compile(&RuleSetFact {
        bot_agents: patterns.bots,
        other_agents: patterns.others,
        threshold_secs: 60,
        ..RuleSetFact::default()
    });
    assert!(rules.invalid().is_empty(), "{:?}", rules.invalid());
    let (mut tried, mut wrong) = (0, Vec::new());
    for file in OF_AGENTS {
        for entry in list(&json(&dir, &format!("user-agents-v2/{}", file.name()))["entries"]) {
            let library = file == AgentFile::Libraries && entry["category"] == "bot";
            let bot = file == AgentFile::Bots || library;
            for example in entry["examples"].as_array().unwrap_or(&Vec::new()) {
                let found = rules.classify_agent(word(example));
                tried += 1;
                // The watch rule comes before the lists, which call some of these agents bots.
                if found != AgentClass::Watch && matches!(found, AgentClass::Bot(_)) != bot {
                    wrong.push(format!("{}: {example}: {found:?}", file.name()));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {tried}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert_eq!(tried, 1_420);
}
