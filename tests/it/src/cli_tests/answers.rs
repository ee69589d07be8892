//! Exit codes, and errors that say what to do.

use std::net::TcpListener;

use super::{hostread, run, text, write_settings};

fn code(output: &std::process::Output) -> i32 {
    output.status.code().unwrap()
}

#[test]
fn help_is_no_error_and_nonsense_is() {
    let dir = tempfile::tempdir().unwrap();
    for args in [&["--help"][..], &["up", "--help"], &["--version"]] {
        assert_eq!(code(&run(dir.path(), args)), 0, "{args:?}");
    }
    for args in [
        &[][..],
        &["nonsense"],
        &["import", "cloudfront"],
        &["up", "--once"],
    ] {
        assert_eq!(code(&run(dir.path(), args)), 2, "{args:?}");
    }
}

/// The refusal of a command, which must end with 2.
fn refusal(mut command: std::process::Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(code(&output), 2, "{}", text(&output));
    text(&output)
}

#[test]
fn what_is_missing_is_named_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();

    let mut typo = hostread(dir, &["gateway"]);
    typo.env("HOSTREAD_GATEWAY__LISTENS", "x");
    assert!(refusal(typo).contains("listens"));
    std::fs::write(dir.join("typo.toml"), "[pipeline]\nworkres = 1\n").unwrap();
    let said = refusal(hostread(dir, &["--config", "typo.toml", "gateway"]));
    assert!(
        said.contains("workres") && said.contains("typo.toml"),
        "{said}"
    );
    assert!(refusal(hostread(dir, &["--config", "none.toml", "gateway"])).contains("none.toml"));

    let mut packages = hostread(dir, &["up", "--demo", "--once"]);
    packages.env("HOSTREAD_ENGINES_DIR", dir.join("none"));
    assert!(refusal(packages).contains("npm ci --prefix engines"));
    assert!(refusal(hostread(dir, &["up"])).contains("[[tenants]]"));
    assert!(refusal(hostread(dir, &["pipeline"])).contains("clickhouse.url"));
    assert!(refusal(hostread(dir, &["report"])).contains("hostread up"));
    assert!(refusal(hostread(dir, &["import", "combined", "a.log"])).contains("HOSTREAD_API_KEY"));

    write_settings(dir);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut gateway = hostread(dir, &["--config", "hostread.toml", "gateway"]);
    gateway.env("HOSTREAD_GATEWAY__LISTEN", &address);
    let said = refusal(gateway);
    assert!(
        said.contains(&address) && said.contains("HOSTREAD_GATEWAY__LISTEN="),
        "{said}"
    );
}

#[test]
fn one_folder_has_one_owner() {
    let dir = tempfile::tempdir().unwrap();
    write_settings(dir.path());
    let args = ["--config", "hostread.toml", "gateway"];
    let mut first = super::Running::start(hostread(dir.path(), &args));
    first.address("gateway  ");
    let said = refusal(hostread(dir.path(), &args));
    assert!(said.contains("in use"), "{said}");
    assert_eq!(first.stop(nix::sys::signal::Signal::SIGTERM), Some(0));
}
