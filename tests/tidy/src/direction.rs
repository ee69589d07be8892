//! Data goes one way, and so do dependencies: the table below is the whole permission.
//! Invariant 1: an edge between two of our crates stands in `MAY_USE`; tests and benches may use anything, nothing uses them.
//! Invariant 2: no tokio in what `dataflow`, `rules` and `journal` ship.
//! Invariant 3: native Kafka is linked in one crate, `eventlog`.

use crate::crates::{Crates, Kind};

const SCHEMAS: &str = "hostread-schemas";
const DISK: &str = "hostread-disk";
const EVENTLOG: &str = "hostread-eventlog";
const CONNECTORS_KIT: &str = "hostread-connectors-kit";
const CONNECTORS: &str = "hostread-connectors";
const GATEWAY: &str = "hostread-gateway";
const POLL: &str = "hostread-poll";
const RULES: &str = "hostread-rules";
const MODELS: &str = "hostread-models";
const JOURNAL: &str = "hostread-journal";
const DATAFLOW: &str = "hostread-dataflow";
const EXPLAIN: &str = "hostread-explain";
const JOB: &str = "hostread-job";
const SINK_KIT: &str = "hostread-sink-kit";
const CLICKHOUSE: &str = "hostread-sink-clickhouse";
const POSTGRES: &str = "hostread-sink-postgres";
const ARCHIVE: &str = "hostread-sink-archive";
const ENGINES: &str = "hostread-engines";
const SIMULATE: &str = "hostread-simulate";
const HOSTREAD: &str = "hostread";

/// Which of ours each crate may use.
const MAY_USE: &[(&str, &[&str])] = &[
    (SCHEMAS, &[]),
    (DISK, &[]),
    (SINK_KIT, &[SCHEMAS]),
    (RULES, &[SCHEMAS]),
    (MODELS, &[]),
    (SIMULATE, &[SCHEMAS]),
    (EVENTLOG, &[SCHEMAS, DISK]),
    (CONNECTORS_KIT, &[SCHEMAS, DISK]),
    (CONNECTORS, &[SCHEMAS, CONNECTORS_KIT]),
    (
        GATEWAY,
        &[SCHEMAS, DISK, EVENTLOG, CONNECTORS_KIT, CONNECTORS],
    ),
    (POLL, &[DISK, CONNECTORS_KIT]),
    (CLICKHOUSE, &[SCHEMAS, SINK_KIT]),
    (POSTGRES, &[SCHEMAS, SINK_KIT]),
    (ARCHIVE, &[SCHEMAS, DISK, SINK_KIT]),
    (JOURNAL, &[SCHEMAS, RULES, DISK]),
    (DATAFLOW, &[SCHEMAS, RULES]),
    (EXPLAIN, &[SCHEMAS, RULES, MODELS, JOURNAL, SINK_KIT]),
    (
        JOB,
        &[SCHEMAS, RULES, JOURNAL, DATAFLOW, EVENTLOG, DISK, SINK_KIT],
    ),
    (ENGINES, &[]),
    (
        HOSTREAD,
        &[
            SCHEMAS,
            DISK,
            EVENTLOG,
            CONNECTORS_KIT,
            CONNECTORS,
            GATEWAY,
            POLL,
            RULES,
            MODELS,
            JOURNAL,
            DATAFLOW,
            JOB,
            EXPLAIN,
            SINK_KIT,
            CLICKHOUSE,
            POSTGRES,
            ARCHIVE,
            ENGINES,
            SIMULATE,
        ],
    ),
];

/// Who may use anything, and is used by nobody.
const OUTSIDE: [&str; 5] = [
    "hostread-fuzz",
    "hostread-it",
    "hostread-sim",
    "hostread-tidy",
    "hostread-benches",
];

/// Crates that must not reach tokio: they are called from threads that nothing else runs on.
const NO_TOKIO: [&str; 3] = [DATAFLOW, RULES, JOURNAL];

fn faults(crates: &Crates) -> Vec<String> {
    let mut faults = Vec::new();
    for name in crates.ours.keys() {
        let row = MAY_USE.iter().find(|(from, _)| from == name);
        if row.is_none() && !OUTSIDE.contains(&name.as_str()) {
            faults.push(format!(
                "{name} has no row in the table of tests/tidy/src/direction.rs"
            ));
        }
        let outside = OUTSIDE.contains(&name.as_str());
        for (to, kind) in crates.edges.get(name).into_iter().flatten() {
            if to == "rdkafka" && *kind == Kind::Shipped && name != EVENTLOG {
                faults.push(format!("{name} links Kafka; only {EVENTLOG} does"));
            }
            if !crates.ours.contains_key(to) {
                continue;
            }
            if OUTSIDE.contains(&to.as_str()) {
                faults.push(format!("{name} uses {to}, which nothing may use"));
            } else if !outside && !row.is_some_and(|(_, may)| may.contains(&to.as_str())) {
                faults.push(format!("{name} may not use {to}"));
            }
        }
    }
    for from in NO_TOKIO {
        if let Some(way) = crates.way(from, "tokio") {
            faults.push(format!("{from} reaches tokio: {}", way.join(" -> ")));
        }
    }
    faults
}

#[test]
fn dependencies_go_one_way() {
    assert_eq!(faults(&Crates::load()), Vec::<String>::new());
}

#[test]
fn a_wrong_edge_is_found() {
    let good = Crates::load();
    for (from, to, kind) in [
        (POSTGRES, DATAFLOW, Kind::Shipped),
        (DATAFLOW, EVENTLOG, Kind::Shipped),
        (SCHEMAS, DISK, Kind::Test),
        (JOB, CLICKHOUSE, Kind::Shipped),
        (HOSTREAD, "hostread-it", Kind::Test),
        (JOURNAL, "tokio", Kind::Shipped),
        (HOSTREAD, "rdkafka", Kind::Shipped),
    ] {
        let bad = good.clone().with(from, to, kind);
        let found = faults(&bad);
        let told = |fault: &String| fault.contains(from) && fault.contains(to);
        assert!(
            found.iter().any(told) || to == "rdkafka" && found.len() == 1,
            "{from} -> {to}"
        );
    }
    // By a detour through a crate that is not ours.
    let bad =
        good.clone()
            .with(RULES, "between", Kind::Shipped)
            .with("between", "tokio", Kind::Shipped);
    assert!(
        faults(&bad)
            .iter()
            .any(|fault| fault.contains("between -> tokio"))
    );
    let mut bad = good;
    bad.ours.insert("hostread-new".to_owned(), "new".to_owned());
    assert_eq!(faults(&bad).len(), 1);
}

#[test]
fn tests_may_use_what_they_like() {
    let good = Crates::load().with("hostread-journal", "tokio", Kind::Test);
    assert_eq!(faults(&good), Vec::<String>::new());
}
