//! Documents as people write them, and the mistakes that are told by name.

use serde_json::Map;

use super::*;
use hostread_schemas::event::OtherAgent;

fn iab() -> Document {
    shipped("2.2").expect("it ships")
}

/// A shipped document, changed.
fn changed(change: impl FnOnce(&mut Map<String, Value>)) -> Result<Document, DocumentError> {
    let mut json: Value = serde_json::from_str(&iab().json()).expect("it is JSON");
    let root = json.as_object_mut().expect("an object");
    change(root);
    Document::parse(json.to_string().as_bytes())
}

fn with_value(parameter: &str, value: Value) -> Result<Document, DocumentError> {
    changed(|root| root["parameters"][parameter]["value"] = value)
}

fn inclusion(change: impl FnOnce(&mut Value)) -> Result<Document, DocumentError> {
    let mut entry = json!({"range": "192.0.2.0/24", "who": "A. Example", "when": "2026-11-01", "evidence": "a letter",
        "expires": "2027-01-30"});
    change(&mut entry);
    with_value("inclusion", json!([entry]))
}

#[test]
fn what_ships_is_whole_and_says_where_it_is_from() {
    assert_eq!(parameters().len(), 13);
    for number in SHIPPED {
        let document = shipped(number).expect(number);
        assert_eq!(document.full_name(), format!("iab-{number}+1"));
        assert_eq!(shipped(&document.name).as_ref(), Some(&document));
        assert_eq!(document.check_for_pipeline(), Ok(()));
        for row in parameters() {
            let source = &document.sources[&row.parameter];
            let verified = source.starts_with("IAB 2.3, 5.");
            assert_eq!(
                verified,
                number == "2.3",
                "{number} {}: {source}",
                row.parameter
            );
            assert_ne!(verified, source.starts_with(NOT_VERIFIED), "{source}");
            let fixed = row.varies == Varies::No;
            assert_eq!(
                check::fixed_value(&row.parameter).is_null(),
                !fixed,
                "{}",
                row.parameter
            );
        }
    }
    assert_eq!(shipped("2.4"), None);
}

#[test]
fn invariant_1_written_and_read_it_is_the_same() {
    for document in [iab(), inclusion(|_| {}).expect("it can be applied")] {
        assert_eq!(Document::parse(document.json().as_bytes()), Ok(document));
    }
}

#[test]
fn a_mistake_is_told_by_its_field() {
    let said = |read: Result<Document, DocumentError>| read.expect_err("a mistake").to_string();
    let file = json!({"file": "bots.json", "sha256": "0", "count": 1, "date": "2026-11-09"});
    let cases = [
        (
            changed(|root| drop(root.remove("version"))),
            "missing field `version`",
        ),
        (
            changed(|root| root["name"] = json!("a b")),
            "name: is of letters",
        ),
        (
            changed(|root| root["version"] = json!("")),
            "version: is empty",
        ),
        (
            changed(|root| drop(root.insert("rules".to_owned(), json!(1)))),
            "unknown field `rules`",
        ),
        (
            changed(|root| root["parameters"]["zone"] = Value::Null),
            "parameters.zone: ",
        ),
        (
            changed(|root| root["parameters"]["speed"] = json!({"value": 1, "source": "x"})),
            "parameters.speed: is no parameter",
        ),
        (
            changed(|root| root["parameters"]["zone"]["source"] = json!(" ")),
            "parameters.zone.source: is empty",
        ),
        (
            changed(|root| {
                drop(
                    root["parameters"]
                        .as_object_mut()
                        .expect("an object")
                        .remove("zone"),
                );
            }),
            "parameters.zone: is missing",
        ),
        (
            with_value("threshold_secs", json!("60")),
            "parameters.threshold_secs.value: invalid type",
        ),
        (
            with_value("threshold_secs", json!(0)),
            "parameters.threshold_secs.value: must be",
        ),
        (
            with_value("statuses", json!([200, 206, 304])),
            "parameters.statuses: the engine applies [200,206] only",
        ),
        (
            with_value("watch", json!([])),
            "parameters.watch: the engine applies",
        ),
        (
            with_value("range_0_1", json!({"cdn": "keep", "prefix": "keep"})),
            "parameters.range_0_1.value.cdn: the engine drops",
        ),
        (
            with_value("range_0_1", json!({"cdn": "drop"})),
            "parameters.range_0_1.value: missing field `prefix`",
        ),
        (
            with_value("referrers_denied", json!(["a.example", ""])),
            "parameters.referrers_denied.value[1]: is empty",
        ),
        (
            with_value("window", json!("weekly")),
            "parameters.window.value: unknown variant `weekly`",
        ),
        (
            with_value("zone", json!("Mars")),
            "parameters.zone.value: must be a zone",
        ),
        (
            with_value("bots", json!([file])),
            "parameters.bots.value[0].sha256: must be 64",
        ),
        (
            inclusion(|entry| entry["who"] = json!("")),
            "parameters.inclusion.value[0].who: is empty",
        ),
        (
            inclusion(|entry| entry["range"] = json!("192.0.2.0/33")),
            "parameters.inclusion.value[0].range: is no address",
        ),
        (
            inclusion(|entry| entry["when"] = json!("1.11.")),
            "parameters.inclusion.value[0].when: is no date",
        ),
        (
            inclusion(|entry| entry["expires"] = json!("2027-01-31")),
            "parameters.inclusion.value[0].expires: must be",
        ),
        (
            inclusion(|entry| entry["expires"] = json!("2026-11-01")),
            "parameters.inclusion.value[0].expires: must be",
        ),
        (
            inclusion(|entry| entry["evidence"] = Value::Null),
            "parameters.inclusion.value[0].evidence: invalid type",
        ),
    ];
    for (read, expected) in cases {
        let said = said(read);
        assert!(said.contains(expected), "{said} is not {expected}");
    }
    let none = Document::parse(b"{").expect_err("half of it");
    assert!(none.to_string().contains("EOF"), "{none}");
    let more = format!("{} and more", iab().json());
    let more = Document::parse(more.as_bytes()).expect_err("more than it");
    assert!(more.to_string().contains("trailing characters"), "{more}");
}

#[test]
fn what_the_pipeline_cannot_apply_is_named() {
    let refused = |document: Result<Document, DocumentError>| {
        let document = document.expect("it can be applied by count");
        document
            .check_for_pipeline()
            .expect_err("it is refused")
            .field
    };
    assert_eq!(
        refused(with_value("window", json!("last-touch"))),
        "parameters.window"
    );
    assert_eq!(
        refused(with_value("zone", json!("Europe/Berlin"))),
        "parameters.zone"
    );
    let let_in = inclusion(|_| {}).expect("it can be applied");
    assert_eq!(let_in.check_for_pipeline(), Ok(()));
}

#[test]
fn an_inclusion_holds_from_its_date_until_it_expires() {
    let document = inclusion(|_| {}).expect("it can be applied");
    let on = |year, month, day| document.inclusion[0].holds_on(jiff::civil::date(year, month, day));
    assert!(!on(2026, 10, 31) && on(2026, 11, 1) && on(2027, 1, 29) && !on(2027, 1, 30));
}

#[test]
fn it_is_applied_and_compared_by_its_values() {
    let other = changed(|root| {
        root["parameters"]["threshold_secs"]["value"] = json!(30);
        root["parameters"]["range_0_1"]["value"]["prefix"] = json!("keep");
        root["parameters"]["zone"]["source"] = json!("another");
    });
    let other = other.expect("it can be applied");
    let names: Vec<String> = iab()
        .differing(&other)
        .into_iter()
        .map(|(name, ..)| name)
        .collect();
    assert_eq!(names, ["threshold_secs", "range_0_1"]);
    let included = vec![Included {
        nets: vec![Hash64(8)],
        ..Included::default()
    }];
    let others = vec![OtherAgent {
        pattern: "^app".to_owned(),
        bots_before: 0,
    }];
    let event = other.event(Held {
        agents: AgentPatterns {
            bots: vec!["^bot".to_owned()],
            others: others.clone(),
        },
        nonhuman_nets: vec![Hash64(7)],
        included: included.clone(),
    });
    let expected = RuleSet {
        rule_set: "iab-2.2+1".to_owned(),
        threshold_secs: 30,
        bot_agents: vec!["^bot".to_owned()],
        nonhuman_nets: vec![Hash64(7)],
        referrers_denied: Vec::new(),
        prefix_drops_range_0_1: false,
        ip_volume_downloads_max: 100,
        included,
        other_agents: others,
    };
    assert_eq!(event, expected);
}
