//! Starts both engines in a data folder, prints how to reach them as one JSON line, stays up until its input closes or
//! it gets SIGTERM. For work on the sinks: `cargo run -p hostread-engines --example engines_up -- DATA_DIR [TENANT,... [TABLE,...]]`.
#![allow(
    clippy::print_stdout,
    clippy::exit,
    reason = "an example prints, and ends while its input is open"
)]

use std::path::PathBuf;

use hostread_engines::{Engines, EnginesConfig, ReaderConfig, run_child_if_asked};

fn main() -> Result<std::process::ExitCode, Box<dyn std::error::Error>> {
    if let Some(code) = run_child_if_asked() {
        return Ok(std::process::ExitCode::from(u8::try_from(code)?));
    }
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(run())?;
    Ok(std::process::ExitCode::SUCCESS)
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let data_dir = arguments
        .next()
        .ok_or("usage: engines_up DATA_DIR [TENANT,...] [TABLE,...]")?;
    let list = |argument: Option<String>, default: &str| -> Vec<String> {
        let text = argument.unwrap_or_else(|| default.to_owned());
        text.split(',')
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let tenants = list(arguments.next(), "ten_a,ten_b");
    let tables = list(arguments.next(), "");
    let engines = Engines::start(EnginesConfig {
        packages_dir: PathBuf::from(env!("CARGO_MANIFEST_DIR")),
        data_dir: PathBuf::from(data_dir),
        launcher_exe: std::env::current_exe()?,
        readers: tenants
            .iter()
            .cloned()
            .map(|tenant| ReaderConfig { tenant })
            .collect(),
        filtered_tables: tables,
        clickhouse_memory_bytes_max: 2 << 30,
    })
    .await?;
    let readers: Vec<_> = tenants
        .iter()
        .map(|tenant| engines.clickhouse.reader(tenant))
        .collect();
    let (clickhouse_pid, postgres_pid) = engines.pids();
    println!(
        "{}",
        serde_json::json!({
            "clickhouse": {
                "url": engines.clickhouse.url, "user": engines.clickhouse.user,
                "password": engines.clickhouse.password, "gate_header": engines.clickhouse.gate_header,
                "readers": readers, "pid": clickhouse_pid,
            },
            "postgres": {
                "host": engines.postgres.host, "port": engines.postgres.port,
                "url_owner": engines.postgres.url_owner, "url_sink": engines.postgres.url_sink,
                "url_reader": engines.postgres.url_reader, "pid": postgres_pid,
            },
        })
    );
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let input =
        tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
        _ = input => {}
    }
    engines.stop().await;
    // The thread that waits for input cannot be interrupted.
    std::process::exit(0);
}
