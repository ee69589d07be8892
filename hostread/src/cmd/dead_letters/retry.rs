//! `hostread dead-letters retry`: repaired letters go to the door that turned them down, or back into the log, each once.
//! Promises: a letter that was taken is marked, durably, and not sent again; one that is turned down again stays, with the new
//! reason. Stopped between door and mark, a letter goes twice; the event ids are the same, so that is one event.
//! Leaves out: repairing. What passes now passes because the program or the catalog changed, or its body was edited.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use hostread_connectors::shopify::verify::SIGNATURE_HEADER;
use hostread_connectors_kit::signature::{equal, hmac_sha256_base64, sha256_hex};
use hostread_connectors_kit::{
    Mark, Marks, RETRY_HEADER, Resend, Retry, StoredDeadLetter, TenantKey,
};
use hostread_eventlog::{EventLog, Record};
use hostread_gateway::TenantConfig;
use hostread_gateway::upload::client;
use hostread_job::{Decode, wall_ms};
use hostread_schemas::{Encoder, ReceivedAtMs, partition};
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;

use super::super::api_key::ApiKeyArgs;
use super::{marks_file, retried_at, visit};
use crate::config::Config;
use crate::parts::{self, PIPELINE};
use crate::say;

/// Letters that are named one by one when they are not taken.
const NAMED_MAX: usize = 50;

/// Which letters, and how.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RetryArgs {
    /// Only these letters, by the id that `dead-letters list` shows
    #[arg(long, value_name = "ID")]
    id: Vec<String>,
    /// Only of this tenant
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Only of this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Only those whose reason holds this text
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Send these bodies instead, and no other letter: lines with `id` and `body`, as `dead-letters list --format json --body`
    /// prints them; for a letter of the pipeline the body is an event as `/v1/events` takes it
    #[arg(long, value_name = "FILE")]
    edited: Option<PathBuf>,
    /// Address of the gateway [default: gateway.listen of the settings]
    #[arg(long, value_name = "URL")]
    gateway: Option<String>,
    #[command(flatten)]
    api_key: ApiKeyArgs,
}

/// What became of a letter.
enum Outcome {
    Taken,
    /// It stays a letter.
    TurnedDown(String),
    /// Nobody was asked.
    NotSent(String),
}

#[derive(Deserialize)]
struct Edited {
    id: String,
    body: String,
}

/// Sends what is asked for.
pub(crate) async fn run(config: &Config, args: &RetryArgs) -> Result<bool> {
    let edited = args.edited.as_deref().map(read_edited).transpose()?;
    let now = ReceivedAtMs(wall_ms());
    let mut marks = Marks::open(&parts::disk(), &marks_file(config), now)
        .context("opening the marks of letters that were sent again")?;
    let mut wanted = Vec::new();
    visit(config, |letter| {
        let is_edited = edited
            .as_ref()
            .is_none_or(|edited| edited.contains_key(&letter.id));
        if is_edited && args.wants(&letter) && retried_at(&marks.marked, &letter).is_none() {
            wanted.push(letter);
        }
        Ok(())
    })?;
    let mut sender = Sender::new(config, args)?;
    let (mut taken, mut turned_down, mut not_sent) = (0_usize, 0_usize, 0_usize);
    for letter in &wanted {
        let edited = edited.as_ref().and_then(|edited| edited.get(&letter.id));
        let retry = Retry {
            id: letter.id.clone(),
            tries: letter.tries + 1,
        };
        let why = match sender.send(letter, edited, &retry).await? {
            Outcome::Taken => {
                let (tenant, at) = (letter.tenant.clone(), ReceivedAtMs(wall_ms()));
                let Retry { id, tries } = retry;
                marks.add(Mark {
                    tenant,
                    id,
                    tries,
                    at,
                })?;
                taken += 1;
                continue;
            }
            Outcome::TurnedDown(why) => {
                turned_down += 1;
                format!("turned down again: {why}")
            }
            Outcome::NotSent(why) => {
                not_sent += 1;
                format!("not sent: {why}")
            }
        };
        if turned_down + not_sent <= NAMED_MAX {
            say!("{}  {}  {why}", letter.id, letter.position);
        }
    }
    say!("{taken} sent again and taken, {turned_down} turned down again, {not_sent} not sent");
    Ok(turned_down + not_sent == 0)
}

fn read_edited(file: &Path) -> Result<BTreeMap<String, String>> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(at, line)| {
            let edited: Edited = serde_json::from_str(line)
                .with_context(|| format!("line {} of {}", at + 1, file.display()))?;
            Ok((edited.id, edited.body))
        })
        .collect()
}

impl RetryArgs {
    fn wants(&self, letter: &StoredDeadLetter) -> bool {
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        };
        let reason = self.reason.as_deref().unwrap_or_default();
        (self.id.is_empty() || self.id.contains(&letter.id))
            && is(&self.tenant, &letter.tenant)
            && is(&self.source, &letter.source)
            && letter.reason.contains(reason)
    }
}

/// The way back in.
struct Sender<'a> {
    config: &'a Config,
    gateway: Url,
    client: Client,
    api_key: Option<String>,
    /// Opened for the first letter that goes into it, or why it cannot be.
    log: Option<Result<Log, String>>,
}

struct Log {
    log: std::sync::Arc<dyn EventLog>,
    encoder: Encoder,
    decode: Decode,
}

impl<'a> Sender<'a> {
    fn new(config: &'a Config, args: &RetryArgs) -> Result<Self> {
        let listen = || format!("http://{}", config.gateway.listen);
        let gateway = args.gateway.clone().unwrap_or_else(listen);
        let gateway = Url::parse(&gateway).map_err(|_| {
            anyhow!("\"{gateway}\" is not an address such as http://127.0.0.1:8080")
        })?;
        Ok(Self {
            config,
            client: client(&gateway)?,
            gateway,
            api_key: args.api_key.read_if_any()?,
            log: None,
        })
    }

    async fn send(
        &mut self,
        letter: &StoredDeadLetter,
        edited: Option<&String>,
        retry: &Retry,
    ) -> Result<Outcome> {
        let not_sent = |why: &str| Ok(Outcome::NotSent(why.to_owned()));
        let tenants = &self.config.tenants;
        let Some(tenant) = tenants.iter().find(|tenant| tenant.name == letter.tenant) else {
            return not_sent("the settings hold no key of this tenant");
        };
        if letter.id.is_empty() {
            return not_sent("it was kept by a version without ids; send its source again");
        }
        let body = match edited {
            Some(body) => body.clone().into_bytes(),
            None => letter.body(&TenantKey::from_hex(&tenant.hash_key)?)?,
        };
        if letter.connector == PIPELINE {
            return match edited {
                Some(_) => {
                    let door = Resend {
                        path: "/v1/events".to_owned(),
                        headers: Vec::new(),
                    };
                    self.send_to_door(tenant, letter, &door, body, retry).await
                }
                None => self.send_to_log(letter, &body, retry).await,
            };
        }
        match &letter.resend {
            Some(door) => self.send_to_door(tenant, letter, door, body, retry).await,
            None => not_sent("only its beginning was kept; send its source again"),
        }
    }

    async fn send_to_door(
        &self,
        tenant: &TenantConfig,
        letter: &StoredDeadLetter,
        door: &Resend,
        body: Vec<u8>,
        retry: &Retry,
    ) -> Result<Outcome> {
        let url = self.gateway.join(&door.path).context("the letter's door")?;
        let mut request = self
            .client
            .post(url)
            .header(RETRY_HEADER, retry.to_string());
        for (name, value) in &door.headers {
            request = request.header(name, value);
        }
        request = match tenant.connections.get(&letter.source) {
            Some(shop) if letter.connector == "shopify" => {
                let signature = hmac_sha256_base64(shop.secret.as_bytes(), &body);
                request.header(SIGNATURE_HEADER, signature)
            }
            _ => match &self.api_key {
                Some(key) if owns(tenant, key) => request.bearer_auth(key),
                Some(_) => {
                    return Ok(Outcome::NotSent(format!(
                        "the API key is not one of {}",
                        tenant.name
                    )));
                }
                None => {
                    return Ok(Outcome::NotSent(format!(
                        "it needs an API key of {}: HOSTREAD_API_KEY, or --api-key-file",
                        tenant.name
                    )));
                }
            },
        };
        let answer = request.body(body).send().await.with_context(|| {
            format!(
                "the gateway at {} does not answer; it must run for this",
                self.gateway
            )
        })?;
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        match status {
            StatusCode::OK => Ok(taken_or_not(&text)),
            StatusCode::UNPROCESSABLE_ENTITY => Ok(Outcome::TurnedDown(why_refused(&text))),
            _ => bail!("the gateway answered {status}: {}", why_refused(&text)),
        }
    }

    async fn send_to_log(
        &mut self,
        letter: &StoredDeadLetter,
        body: &[u8],
        retry: &Retry,
    ) -> Result<Outcome> {
        let Some((topic, _)) = letter.position.split_once('/') else {
            return Ok(Outcome::NotSent("it names no topic".to_owned()));
        };
        if self.log.is_none() {
            let opened = open(self.config)
                .await
                .map_err(|error| format!("{error:#}"));
            self.log = Some(opened);
        }
        let log = match &mut self.log {
            Some(Ok(log)) => log,
            Some(Err(why)) => return Ok(Outcome::NotSent(why.clone())),
            None => bail!("the log was not opened"),
        };
        // The registry is asked with a blocking call.
        let event = match tokio::task::block_in_place(|| log.decode.event(topic, body)) {
            Ok(event) if event.meta.tenant == letter.tenant => event,
            Ok(_) => {
                return Ok(Outcome::TurnedDown(
                    "it is another tenant's event".to_owned(),
                ));
            }
            Err(why) => return Ok(Outcome::TurnedDown(why.to_string())),
        };
        let encoded = log.encoder.encode(&event);
        let mut headers = encoded.headers;
        headers.push((RETRY_HEADER.to_owned(), retry.to_string().into_bytes()));
        let record = Record {
            partition: partition(&event.meta.tenant, log.log.partitions(encoded.topic)),
            topic: encoded.topic.to_owned(),
            key: encoded.key,
            headers,
            value: encoded.value,
            timestamp_ms: wall_ms(),
        };
        log.log.append(vec![record]).await?;
        Ok(Outcome::Taken)
    }
}

async fn open(config: &Config) -> Result<Log> {
    let opened = parts::open_log(config).await?;
    Ok(Log {
        encoder: Encoder::new(opened.schema_ids.clone()),
        decode: parts::decode(config, &opened),
        log: opened.log,
    })
}

pub(in crate::cmd) fn owns(tenant: &TenantConfig, key: &str) -> bool {
    let hash = sha256_hex(key.as_bytes());
    let known = |known: &String| equal(known.to_ascii_lowercase().as_bytes(), hash.as_bytes());
    tenant.api_key_sha256.iter().any(known)
}

/// What an import answers of its one line. An empty answer is a webhook's.
fn taken_or_not(answer: &str) -> Outcome {
    let answer: serde_json::Value = serde_json::from_str(answer).unwrap_or_default();
    let malformed = answer["malformed"]
        .get(0)
        .or_else(|| answer["rejected"].get(0));
    match malformed {
        Some(said) => {
            let why = said["message"].as_str().unwrap_or("it cannot be read");
            Outcome::TurnedDown(why.to_owned())
        }
        None => Outcome::Taken,
    }
}

pub(in crate::cmd) fn why_refused(answer: &str) -> String {
    let said: serde_json::Value = serde_json::from_str(answer).unwrap_or_default();
    let rejected = &said["rejected"][0];
    let why = [&rejected["message"], &said["detail"], &said["title"]];
    let why = why.iter().find_map(|why| why.as_str());
    let line = answer.lines().next().unwrap_or_default();
    why.unwrap_or(line).to_owned()
}
