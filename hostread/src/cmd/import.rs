//! `hostread import`: delivery logs of any size through the import door, piece by piece.
//! Promises: stopped at any moment, the same line goes on where it was; a line sent twice is one event.

mod poll;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hostread_connectors::mapped::Mapping;
use hostread_gateway::upload::{Progress, Upload};
use indicatif::{ProgressBar, ProgressStyle};

use super::api_key::ApiKeyArgs;
use crate::config::Config;
use crate::say;

/// Folder of the notes on how far each file got.
const NOTES_DIR: &str = "imports";

/// What `import` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ImportArgs {
    /// What the lines look like
    #[arg(value_enum)]
    format: Format,
    /// Log files, plain, gzip or zstd
    #[arg(required_unless_present = "poll", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Name of the feed; the same log always under the same name [default: the format's name]
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Address of the gateway [default: gateway.listen of the settings]
    #[arg(long, value_name = "URL")]
    gateway: Option<String>,
    #[command(flatten)]
    api_key: ApiKeyArgs,
    /// Which field of a line is what, as JSON; for the format mapped
    #[arg(long, value_name = "FILE", required_if_eq("format", "mapped"))]
    mapping: Option<PathBuf>,
    /// The log is of a redirect prefix, which sees no bytes
    #[arg(long)]
    prefix: bool,
    /// Ads are stitched in, so the size of a file marks its version
    #[arg(long)]
    stitched: bool,
    /// Start every file at its beginning, whatever was sent before
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    poll: poll::PollArgs,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    /// CloudFront standard logs
    Cloudfront,
    /// Apache and nginx combined
    Combined,
    /// Cloudflare Logpush, dataset http_requests
    Cloudflare,
    /// JSON or CSV lines, as --mapping says
    Mapped,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::Cloudfront => "cloudfront",
            Self::Combined => "combined",
            Self::Cloudflare => "cloudflare",
            Self::Mapped => "mapped",
        }
    }
}

/// Sends every file.
pub(crate) async fn run(config: Config, args: ImportArgs) -> Result<bool> {
    let notes = config.data_dir.join(NOTES_DIR);
    let mapping = args
        .mapping
        .as_deref()
        .map(|path| mapping(path, args.prefix));
    let mapping = mapping.transpose()?;
    if mapping.is_some() && !matches!(args.format, Format::Mapped) {
        bail!("--mapping is for the format mapped");
    }
    let upload = Upload {
        gateway: args
            .gateway
            .clone()
            .unwrap_or_else(|| format!("http://{}", config.gateway.listen)),
        api_key: args.api_key.read()?,
        format: args.format.name().to_owned(),
        mapping,
        source: args.source.clone(),
        prefix: args.prefix,
        stitched: args.stitched,
        notes_dir: (!args.again).then_some(notes),
    };
    if let Some(address) = &args.poll.poll {
        let dir = config.data_dir.join(NOTES_DIR);
        // What was sent of an object says its list, not notes.
        let upload = Upload {
            notes_dir: None,
            ..upload
        };
        return poll::run(&args.poll, address, &upload, &dir).await;
    }
    let mut failed = 0;
    for file in &args.files {
        if let Err(error) = send(&upload, file).await {
            say!("{}: {error:#}", file.display());
            failed += 1;
        }
    }
    if failed > 0 {
        bail!(
            "{failed} of {} files are not whole; the same command goes on where it stopped",
            args.files.len()
        );
    }
    Ok(true)
}

/// Reads a mapping file; only the log of a prefix may know no bytes.
pub(crate) fn mapping(path: &Path, prefix: bool) -> Result<Arc<Mapping>> {
    let reading = || format!("reading {}", path.display());
    let text = std::fs::read(path).with_context(reading)?;
    let mapping = Mapping::read(&text).with_context(reading)?;
    if !prefix {
        mapping.check_bytes().with_context(reading)?;
    }
    Ok(Arc::new(mapping))
}

async fn send(upload: &Upload, file: &Path) -> Result<()> {
    let style =
        "{msg} {bar:30} {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}  {eta} left";
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(style)?);
    bar.set_message(file.display().to_string());
    bar.enable_steady_tick(Duration::from_millis(200));
    let began = std::time::Instant::now();
    let sent = upload
        .file(file, |progress: &Progress| {
            bar.set_length(progress.file_bytes);
            bar.set_position(progress.file_bytes_read);
        })
        .await;
    bar.finish_and_clear();
    let done = sent?;
    let new = done.lines - done.resumed_lines;
    let rate = new as f64 / began.elapsed().as_secs_f64().max(0.001);
    say!("{}", summary(file, &done, new, rate));
    said(&done);
    Ok(())
}

/// The lines that could not be read.
fn said(done: &Progress) {
    for line in &done.malformed {
        say!("  line {} (byte {}): {}", line.line, line.at, line.message);
    }
    let untold = done.malformed_count() - done.malformed.len() as u64;
    if done.malformed_count() > 0 {
        let more = if untold > 0 {
            format!("and {untold} more; ")
        } else {
            String::new()
        };
        say!("  {more}all are kept: hostread dead-letters list");
    }
}

fn summary(file: &Path, done: &Progress, new: u64, rate: f64) -> String {
    let reasons: Vec<String> = done
        .malformed_by_reason
        .iter()
        .map(|(reason, count)| format!(" ({reason} {count})"))
        .collect();
    let speed = if done.resumed_lines > 0 {
        format!(
            "{} lines were in already, {new} are new",
            done.resumed_lines
        )
    } else {
        format!("{rate:.0} lines/s")
    };
    format!(
        "{}: {} lines, {} requests, {} malformed{}; {speed}",
        file.display(),
        done.lines,
        done.accepted,
        done.malformed_count(),
        reasons.concat()
    )
}
