#![allow(clippy::unwrap_used, reason = "tests panic")]
use super::*;

/// A value of the format, as far as records need.
pub(crate) enum Value {
    Text(&'static str),
    Short(u16),
    Number(u32),
    Long(u64),
    Map(Vec<(&'static str, Value)>),
}

fn put_size(kind: u8, size: usize, out: &mut Vec<u8>) {
    match size {
        0..=28 => out.push((kind << 5) + size as u8),
        _ => out.extend([(kind << 5) + 29, (size - 29) as u8]),
    }
}

fn put(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => {
            put_size(2, text.len(), out);
            out.extend(text.as_bytes());
        }
        Value::Short(number) => {
            put_size(5, 2, out);
            out.extend(number.to_be_bytes());
        }
        Value::Number(number) => {
            put_size(6, 4, out);
            out.extend(number.to_be_bytes());
        }
        Value::Long(number) => {
            // An extended kind, 9 = 7 + 2, of eight bytes.
            out.extend([8, 2]);
            out.extend(number.to_be_bytes());
        }
        Value::Map(fields) => {
            put_size(7, fields.len(), out);
            for (name, value) in fields {
                put(&Value::Text(name), out);
                put(value, out);
            }
        }
    }
}

/// An IPv4 database: each first octet that is named has a record. A tree of eight levels, 24 bits a record.
pub(crate) fn database(records: &[(u8, Value)], epoch: u32) -> Vec<u8> {
    // Nodes of a full tree over the first octet, breadth first; a leaf without a record leads to the node count: nothing.
    let nodes: u32 = 255;
    let mut data = Vec::new();
    let mut places = std::collections::BTreeMap::new();
    for (octet, record) in records {
        places.insert(u32::from(*octet), nodes + 16 + data.len() as u32);
        put(record, &mut data);
    }
    let mut bytes = Vec::new();
    for node in 0..nodes {
        for child in [2 * node + 1, 2 * node + 2] {
            let to = if child < nodes {
                child
            } else {
                places.get(&(child - nodes)).copied().unwrap_or(nodes)
            };
            bytes.extend(&to.to_be_bytes()[1..]);
        }
    }
    bytes.extend([0; 16]);
    bytes.extend(data);
    bytes.extend(b"\xAB\xCD\xEFMaxMind.com");
    let short = Value::Short;
    let metadata = [
        ("node_count", Value::Number(nodes)),
        ("record_size", short(24)),
        ("ip_version", short(4)),
        ("database_type", Value::Text("Test")),
        ("binary_format_major_version", short(2)),
        ("binary_format_minor_version", short(0)),
        ("build_epoch", Value::Long(u64::from(epoch))),
        ("description", Value::Map(Vec::new())),
    ];
    put_size(7, metadata.len() + 1, &mut bytes);
    for (name, value) in &metadata {
        put(&Value::Text(name), &mut bytes);
        put(value, &mut bytes);
    }
    put(&Value::Text("languages"), &mut bytes);
    // An array: an extended kind, 11 = 7 + 4.
    bytes.extend([0, 4]);
    bytes
}

/// 2026-11-01.
pub(crate) const EPOCH: u32 = 1_793_491_200;

#[test]
fn records_are_nested_or_flat() {
    let map = Value::Map;
    let text = Value::Text;
    let nested = |code| {
        map(vec![
            ("geoname_id", Value::Number(7)),
            ("iso_code", text(code)),
        ])
    };
    let records = [
        (
            1,
            map(vec![
                ("country", nested("DE")),
                ("registered_country", nested("FR")),
            ]),
        ),
        (2, map(vec![("registered_country", nested("FR"))])),
        (3, map(vec![("country_code", text("BY"))])),
        (
            4,
            map(vec![
                ("autonomous_system_number", Value::Number(64_500)),
                ("autonomous_system_organization", text("Example")),
            ]),
        ),
        (
            5,
            map(vec![("asn", text("AS64501")), ("country", text("PL"))]),
        ),
        (6, map(vec![("country_code", text("Germany"))])),
        (7, text("no record")),
    ];
    let database = IpDatabase::read(database(&records, EPOCH)).unwrap();
    assert_eq!(database.built().to_string(), "2026-11-01");
    let said = |first: u8| {
        let said = database.say(IpAddr::from([first, 0, 2, 1]));
        (said.asn, said.country)
    };
    let known: Vec<(u32, String)> = (1..=8).map(said).collect();
    let expected = [
        (0, "DE"),
        (0, "FR"),
        (0, "BY"),
        (64_500, ""),
        (64_501, "PL"),
        (0, ""),
        (0, ""),
        (0, ""),
    ];
    assert_eq!(
        known,
        expected.map(|(asn, country)| (asn, country.to_owned()))
    );
    assert_eq!(
        database.say("2001:db8::1".parse().unwrap()),
        Said::default()
    );
}

/// Other crates try their part with it. `UPDATE=1` writes it anew.
#[test]
fn the_fixture_is_such_a_database() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/addresses.mmdb");
    let record = Value::Map(vec![
        ("autonomous_system_number", Value::Number(64_500)),
        ("country_code", Value::Text("DE")),
    ]);
    let bytes = database(&[(203, record)], EPOCH);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &bytes).unwrap();
    }
    assert!(
        std::fs::read(path).unwrap() == bytes,
        "UPDATE=1 writes it anew"
    );
}

#[test]
fn what_is_none_is_refused() {
    let undated = database(&[], 0);
    assert!(matches!(
        IpDatabase::read(undated),
        Err(IpDatabaseError::Undated)
    ));
    let whole = database(&[(1, Value::Map(vec![("asn", Value::Number(9))]))], EPOCH);
    for cut in [0, 1, 100, whole.len() / 2, whole.len() - 20] {
        assert!(
            matches!(
                IpDatabase::read(whole[..cut].to_vec()),
                Err(IpDatabaseError::Format(_))
            ),
            "{cut}"
        );
    }
}

#[test]
fn a_damaged_database_says_something_or_nothing() {
    let whole = database(
        &[
            (1, Value::Map(vec![("asn", Value::Number(9))])),
            (2, Value::Text("x")),
        ],
        EPOCH,
    );
    for at in 0..whole.len() {
        for bit in [1, 0x20, 0x80] {
            let mut damaged = whole.clone();
            damaged[at] ^= bit;
            if let Ok(database) = IpDatabase::read(damaged) {
                for first in 0..4 {
                    let said = database.say(IpAddr::from([first, 0, 2, 1]));
                    assert!(said.country.is_empty() || said.country.len() == 2);
                }
            }
        }
    }
}
