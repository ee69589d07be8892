//! `hostread doctor` names what is missing, and what repairs it.

use std::net::TcpListener;
use std::path::Path;

use super::{hostread, printed, run, text, write_settings};

#[test]
fn all_well_on_a_fresh_machine() {
    let dir = tempfile::tempdir().unwrap();
    write_settings(dir.path());
    let said = printed(dir.path(), &["--config", "hostread.toml", "doctor"]);
    for what in [
        "settings",
        "tenants",
        "addresses",
        "data folder",
        "engines",
        "log",
        "gateway",
    ] {
        assert!(said.contains(&format!("ok    {what}")), "{what}:\n{said}");
    }
    assert!(said.contains("warn  id_key"), "{said}");
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "doctor leaves nothing behind: {left:?}");
}

#[test]
fn what_fails_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    std::fs::write(dir.join("file"), "no folder").unwrap();
    let cases: [(&str, String, &[&str]); 5] = [
        (
            "ENGINES_DIR",
            dir.join("none").display().to_string(),
            &["FAIL  engines", "npm ci --prefix"],
        ),
        (
            "GATEWAY__LISTEN",
            taken.local_addr().unwrap().to_string(),
            &["FAIL  gateway", "HOSTREAD_GATEWAY__LISTEN="],
        ),
        (
            "DATA_DIR",
            dir.join("file/data").display().to_string(),
            &["FAIL  data folder", "HOSTREAD_DATA_DIR"],
        ),
        (
            "PIPELINE__WORKRES",
            "2".to_owned(),
            &["FAIL  settings", "workres"],
        ),
        (
            "CLICKHOUSE__URL",
            "http://127.0.0.1:9".to_owned(),
            &["FAIL  databases", "postgres.url_owner"],
        ),
    ];
    for (name, value, parts) in cases {
        let mut command = hostread(dir, &["doctor"]);
        command.env(format!("HOSTREAD_{name}"), value);
        let output = command.output().unwrap();
        let said = text(&output);
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
        for part in parts {
            assert!(said.contains(part), "{name}: no \"{part}\" in\n{said}");
        }
    }
    let mut away = hostread(dir, &["doctor"]);
    away.env("HOSTREAD_CLICKHOUSE__URL", "http://127.0.0.1:9");
    away.env(
        "HOSTREAD_POSTGRES__URL_OWNER",
        "postgres://a:b@127.0.0.1:9/x",
    );
    away.env(
        "HOSTREAD_POSTGRES__URL_SINK",
        "postgres://a:b@127.0.0.1:9/x",
    );
    let said = text(&away.output().unwrap());
    assert!(
        said.contains("FAIL  ClickHouse") && said.contains("FAIL  PostgreSQL"),
        "{said}"
    );
    assert!(!said.contains("a:b@"), "no secret is printed: {said}");
}

#[test]
fn files_of_addresses_are_opened() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("bad.txt"), "192.0.2.0/24\nnowhere\n").unwrap();
    let known = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../connectors/kit/fixtures");
    std::fs::copy(known.join("addresses.mmdb"), dir.join("known.mmdb")).unwrap();
    for (files, code, part) in [
        (
            "ip_databases = [\"known.mmdb\"]",
            0,
            "ok    addresses    1 files, the oldest of 2026-11-01",
        ),
        (
            "ip_range_files = { relay = [\"bad.txt\"] }",
            1,
            "FAIL  addresses    bad.txt cannot be used: line 2: \"nowhere\"",
        ),
        (
            "ip_databases = [\"none.mmdb\"]",
            1,
            "none.mmdb cannot be used",
        ),
    ] {
        std::fs::write(dir.join("hostread.toml"), format!("[gateway]\n{files}\n")).unwrap();
        let output = run(dir, &["--config", "hostread.toml", "doctor"]);
        assert_eq!(output.status.code(), Some(code), "{}", text(&output));
        assert!(text(&output).contains(part), "{}", text(&output));
    }
}
