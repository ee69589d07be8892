//! `hostread doctor`: is everything there that Hostread needs? One line a check, and how to repair what is not.

use std::path::Path;

use anyhow::Result;
use hostread_disk::{Disk, DiskError, RealDisk};
use hostread_gateway::GatewayConfig;
use tokio::net::TcpListener;

use super::databases::Databases;
use super::tracking::TrackingArgs;
use crate::config::{Config, DEFAULT_ID_KEY};
use crate::parts::{self, Targets};
use crate::say;

/// Below this the disk is nearly full for a log, a journal and two databases.
const FREE_BYTES_LOW: u64 = 2 << 30;
/// Below this nothing should start.
const FREE_BYTES_LEAST: u64 = 200 << 20;
/// Clocks may be this far apart.
const CLOCK_SECS_APART: i64 = 5;
/// 2025-01-01: a clock before it was never set.
const CLOCK_SET_MS: i64 = 1_735_689_600_000;

/// What a check found.
pub(super) enum Found {
    Fine(String),
    /// Not there and not needed, with this to know.
    Note(String, String),
    /// Works, with this to know.
    Warn(String, String),
    /// Does not work, and what repairs it.
    Fail(String, String),
}

/// Lines for a person, and whether something fails.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) failed: bool,
}

impl Findings {
    pub(super) fn tell(&mut self, what: &str, found: Found) {
        let (mark, how, repair) = match found {
            Found::Fine(how) => ("ok", how, None),
            Found::Note(how, why) => ("note", how, Some(why)),
            Found::Warn(how, repair) => ("warn", how, Some(repair)),
            Found::Fail(how, repair) => {
                self.failed = true;
                ("FAIL", how, Some(repair))
            }
        };
        say!("{mark:<4}  {what:<12} {how}");
        if let Some(repair) = repair {
            say!("      {:<12} -> {repair}", "");
        }
    }
}

/// What to check.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    #[command(subcommand)]
    of: Option<DoctorCommand>,
}

#[derive(Debug, clap::Subcommand)]
enum DoctorCommand {
    /// Check how a line item is tracked: the last ad, pixel, order, code and visit seen, and what is missing
    Tracking(TrackingArgs),
}

/// Checks what was asked for; false when something fails.
pub(crate) async fn run(
    config: Result<Config>,
    file: Option<&Path>,
    args: DoctorArgs,
) -> Result<bool> {
    match args.of {
        None => machine(config, file).await,
        Some(DoctorCommand::Tracking(args)) => super::tracking::run(&config?, args).await,
    }
}

/// Checks everything on this machine.
async fn machine(config: Result<Config>, file: Option<&Path>) -> Result<bool> {
    let mut findings = Findings::default();
    let config = match config {
        Ok(config) => config,
        Err(error) => {
            findings.tell(
                "settings",
                Found::Fail(format!("{error:#}"), "correct it and ask again".to_owned()),
            );
            return Ok(false);
        }
    };
    let place = file.map_or("defaults".to_owned(), |file| file.display().to_string());
    findings.tell("settings", Found::Fine(place));
    findings.tell("id_key", id_key(&config));
    findings.tell("tenants", tenants(&config));
    findings.tell("addresses", addresses(&config.gateway));
    findings.tell("data folder", data_folder(&config.data_dir));
    findings.tell("engines", engines(&config));
    findings.tell("log", log(&config).await);
    let up = databases(&config, &mut findings).await;
    for (what, setting, address) in [
        ("gateway", "gateway.listen", &config.gateway.listen),
        ("SQL door", "sql.listen", &config.sql.listen),
        ("pipeline", "pipeline.listen", &config.pipeline.listen),
    ] {
        findings.tell(what, port(setting, address, up).await);
    }
    Ok(!findings.failed)
}

fn id_key(config: &Config) -> Found {
    if config.id_key == DEFAULT_ID_KEY {
        return Found::Warn(
            "the sample key: fine to try things, not for real listeners".to_owned(),
            "openssl rand -hex 16 > id_key, then HOSTREAD_ID_KEY_FILE=id_key; before the first event, for life".to_owned(),
        );
    }
    Found::Fine("your own".to_owned())
}

fn tenants(config: &Config) -> Found {
    if config.tenants.is_empty() {
        return Found::Warn(
            "none: nobody could call".to_owned(),
            "add a [[tenants]] table (docs/reference/configuration.md); the demo needs none"
                .to_owned(),
        );
    }
    let deaf: Vec<&str> = config
        .tenants
        .iter()
        .filter(|tenant| tenant.api_key_sha256.is_empty() && tenant.public_key.is_empty())
        .map(|tenant| tenant.name.as_str())
        .collect();
    if !deaf.is_empty() {
        return Found::Warn(
            format!(
                "{} without any key: no door opens for them",
                deaf.join(", ")
            ),
            "set api_key_sha256 (printf %s KEY | sha256sum) and public_key".to_owned(),
        );
    }
    Found::Fine(format!("{}", config.tenants.len()))
}

/// Networks and databases, as a gateway would open them.
fn addresses(config: &GatewayConfig) -> Found {
    let files =
        config.ip_databases.len() + config.ip_range_files.values().map(Vec::len).sum::<usize>();
    match hostread_gateway::open_addresses(config) {
        Ok(_) if files == 0 => {
            Found::Fine("classes by the networks in the settings; no files".to_owned())
        }
        Ok(known) => Found::Fine(format!("{files} files, the oldest of {}", known.dated())),
        Err(error) => Found::Fail(
            format!("{:#}", anyhow::Error::new(error)),
            "correct it, or take it out of gateway.ip_databases, ip_range_files, ip_ranges"
                .to_owned(),
        ),
    }
}

/// Can it be written, and is there room? Leaves nothing behind.
fn data_folder(dir: &Path) -> Found {
    let there = dir
        .ancestors()
        .find(|ancestor| ancestor.exists())
        .unwrap_or(Path::new("."));
    let there = if there.as_os_str().is_empty() {
        Path::new(".")
    } else {
        there
    };
    let probe = there.join(format!(".hostread-doctor-{}", std::process::id()));
    if let Err(error) = std::fs::write(&probe, b"probe") {
        return Found::Fail(
            format!("{} cannot be written: {error}", there.display()),
            "change its owner, or choose another folder: HOSTREAD_DATA_DIR".to_owned(),
        );
    }
    std::fs::remove_file(&probe).ok();
    let Ok(stat) = nix::sys::statvfs::statvfs(there) else {
        return Found::Fine(dir.display().to_string());
    };
    let free = stat.blocks_available().saturating_mul(stat.fragment_size());
    let text = format!(
        "{}, {:.1} GiB free",
        dir.display(),
        free as f64 / f64::from(1 << 30)
    );
    if free < FREE_BYTES_LEAST {
        return Found::Fail(
            text,
            "make room, or choose another disk: HOSTREAD_DATA_DIR".to_owned(),
        );
    }
    if free < FREE_BYTES_LOW {
        let repair = "the log keeps 14 days; make room before it fills";
        return Found::Warn(text, repair.to_owned());
    }
    Found::Fine(text)
}

fn engines(config: &Config) -> Found {
    if config.own_clickhouse() && config.own_postgres() {
        return Found::Fine("not needed: both databases are your own".to_owned());
    }
    match parts::check_engines(config) {
        Ok(()) => Found::Fine(format!("packages in {}", config.engines_dir.display())),
        Err(error) => Found::Fail(
            format!("{error:#}"),
            format!("npm ci --prefix {}", config.engines_dir.display()),
        ),
    }
}

async fn log(config: &Config) -> Found {
    if config.log.is_kafka() {
        return match parts::open_log(config).await {
            Ok(log) => Found::Fine(format!(
                "{}, {} schemas registered",
                config.log_place(),
                log.schema_ids.len()
            )),
            Err(error) => Found::Fail(
                format!("{error:#}"),
                "check log.brokers, log.registry_url and log.properties; the topics may be made beforehand".to_owned(),
            ),
        };
    }
    let dir = config.log_dir();
    if !dir.exists() {
        return Found::Fine(format!("{}, made at the first start", dir.display()));
    }
    match RealDisk.lock(&dir.join("lock")) {
        Ok(_) => Found::Fine(dir.display().to_string()),
        Err(DiskError::Locked { .. }) => {
            Found::Fine(format!("{}, in use by a running hostread", dir.display()))
        }
        Err(error) => Found::Fail(
            format!("{}: {error}", dir.display()),
            "change the folder's owner".to_owned(),
        ),
    }
}

/// True when the databases answer, which for embedded ones means that somebody runs here.
async fn databases(config: &Config, findings: &mut Findings) -> bool {
    let own = config.own_clickhouse() || config.own_postgres();
    let databases = Targets::find(config).and_then(|targets| Databases::new(&targets));
    let databases = match databases {
        Ok(databases) => databases,
        Err(_) if !own => {
            findings.tell(
                "databases",
                Found::Fine("embedded, made at the first start".to_owned()),
            );
            return false;
        }
        Err(error) => {
            findings.tell(
                "databases",
                Found::Fail(format!("{error:#}"), "set both".to_owned()),
            );
            return false;
        }
    };
    let clickhouse = databases.clickhouse("SELECT version()").await;
    let postgres = databases
        .postgres("SELECT current_setting('server_version')")
        .await;
    if !own && clickhouse.is_err() && postgres.is_err() {
        findings.tell(
            "databases",
            Found::Fine("embedded, not running now".to_owned()),
        );
        findings.tell("clock", clock(None));
        return false;
    }
    let answers = clickhouse.is_ok() && postgres.is_ok();
    let answer = |answer: Result<Vec<String>>, setting: &str| match answer {
        Ok(lines) => Found::Fine(lines.concat()),
        Err(error) => Found::Fail(
            format!("{error:#}"),
            format!("start it, or check {setting}"),
        ),
    };
    findings.tell(
        "ClickHouse",
        answer(clickhouse, "clickhouse.url, user and password"),
    );
    findings.tell("PostgreSQL", answer(postgres, "postgres.url_owner"));
    let theirs = databases
        .postgres("SELECT (extract(epoch FROM now()) * 1000)::bigint::text")
        .await
        .ok()
        .and_then(|lines| lines.first()?.parse().ok());
    findings.tell("clock", clock(theirs));
    answers
}

/// Against PostgreSQL's, where that can be asked.
fn clock(theirs: Option<i64>) -> Found {
    let ours = hostread_job::wall_ms();
    let repair = "set the clock by NTP (timedatectl set-ntp true)";
    if ours < CLOCK_SET_MS {
        return Found::Fail("was never set".to_owned(), repair.to_owned());
    }
    let Some(theirs) = theirs else {
        return Found::Fine("set".to_owned());
    };
    let apart = (ours - theirs).abs() / 1_000;
    if apart > CLOCK_SECS_APART {
        return Found::Warn(
            format!("{apart} s apart from PostgreSQL's"),
            repair.to_owned(),
        );
    }
    Found::Fine("as PostgreSQL's".to_owned())
}

async fn port(setting: &str, address: &str, up: bool) -> Found {
    match TcpListener::bind(address).await {
        Ok(_) => Found::Fine(format!("{address} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && up => Found::Fine(format!(
            "{address} is in use, as it should be while hostread runs"
        )),
        Err(error) => {
            let variable = setting.to_uppercase().replace('.', "__");
            Found::Fail(
                format!("{address}: {error}"),
                format!(
                    "stop what listens there, or choose another: HOSTREAD_{variable}=127.0.0.1:0"
                ),
            )
        }
    }
}
