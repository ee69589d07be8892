//! Schema ids: the four bytes in front of every body stand for a schema that somebody keeps.
//! Needs: schemas as Avro JSON.    Promises: one schema has one id for good, whatever its white space; an id that was given out can
//! be resolved after any restart.
//! Leaves out: compatibility: a Confluent registry is told to check FULL_TRANSITIVE, ours is covered by the tests of `schemas`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use hostread_disk::{Disk, read_all, replace_file};
use reqwest::{Client, Method, RequestBuilder, StatusCode, Url};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing::warn;

use crate::{LogError, Result};

/// Name of the in-process registry's file.
const FILE: &str = "schemas.json";
/// A registry that does not answer by then is away.
const REQUEST: Duration = Duration::from_secs(10);
const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";
/// Of an error's text; a proxy may answer with a whole page.
const MESSAGE_CHARS_MAX: usize = 300;

/// Keeps schemas and their ids.
#[async_trait]
pub trait Registry: Send + Sync {
    /// The id of this schema; the same one when it is already known. A schema that the registry refuses is `Input`.
    async fn register(&self, subject: &str, schema: &str) -> Result<u32>;
    /// The schema with this id, as JSON.
    async fn by_id(&self, id: u32) -> Result<String>;
}

/// Ids 1, 2, 3, ... in the order of registration, kept in a file of the log's folder.
#[derive(Debug)]
pub struct InProcessRegistry {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    kept: Mutex<Kept>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    format: u32,
    /// The schema with id n stands at n - 1.
    schemas: Vec<KeptSchema>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptSchema {
    subjects: Vec<String>,
    schema: Value,
}

impl InProcessRegistry {
    /// Opens or starts the registry of a folder. One process writes it: whoever holds the log's lock.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self> {
        disk.create_dir(dir)?;
        let path = dir.join(FILE);
        let kept = if disk.exists(&path)? {
            serde_json::from_slice(&read_all(disk.as_ref(), &path)?)
                .map_err(LogError::RegistryFile)?
        } else {
            Kept {
                format: 1,
                schemas: Vec::new(),
            }
        };
        Ok(Self {
            disk,
            path,
            kept: Mutex::new(kept),
        })
    }

    fn register_now(&self, subject: &str, schema: &str) -> Result<u32> {
        let parsed: Value = serde_json::from_str(schema).map_err(|source| LogError::Schema {
            subject: subject.to_owned(),
            source,
        })?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = kept.clone();
        let known = next.schemas.iter().position(|there| there.schema == parsed);
        let index = known.unwrap_or_else(|| {
            next.schemas.push(KeptSchema {
                subjects: Vec::new(),
                schema: parsed,
            });
            next.schemas.len() - 1
        });
        let subjects = &mut next.schemas[index].subjects;
        if !subjects.iter().any(|there| there == subject) {
            subjects.push(subject.to_owned());
            // On disk first: an id must not be used before it can be resolved after a crash.
            let bytes = serde_json::to_vec_pretty(&next).map_err(LogError::RegistryFile)?;
            replace_file(self.disk.as_ref(), &self.path, &bytes)?;
            *kept = next;
        }
        Ok(index as u32 + 1)
    }
}

#[async_trait]
impl Registry for InProcessRegistry {
    async fn register(&self, subject: &str, schema: &str) -> Result<u32> {
        self.register_now(subject, schema)
    }

    async fn by_id(&self, id: u32) -> Result<String> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let index = (id as usize)
            .checked_sub(1)
            .ok_or(LogError::NoSuchSchema { id })?;
        let there = kept
            .schemas
            .get(index)
            .ok_or(LogError::NoSuchSchema { id })?;
        Ok(there.schema.to_string())
    }
}

/// A registry that speaks Confluent's HTTP API.
#[derive(Clone, Debug)]
pub struct ConfluentRegistry {
    client: Client,
    base: Url,
    /// User and password.
    login: Option<(String, String)>,
}

#[derive(Deserialize)]
struct IdAnswer {
    id: u32,
}

#[derive(Deserialize)]
struct SchemaAnswer {
    schema: String,
}

impl ConfluentRegistry {
    /// `url` is the API's root, for example `http://registry:8081`. No request is made yet.
    pub fn new(url: &str, login: Option<(String, String)>) -> Result<Self> {
        let refused = |message: String| LogError::RegistryAnswer {
            status: 400,
            subject: url.to_owned(),
            message,
        };
        let base = Url::parse(url).map_err(|error| refused(error.to_string()))?;
        if base.cannot_be_a_base() {
            return Err(refused("it is not an address".to_owned()));
        }
        let mut client = Client::builder().timeout(REQUEST);
        if base.scheme() == "http" {
            // A machine without root certificates does as well.
            client = client.tls_certs_only([]);
        }
        let client = client.build().map_err(LogError::RegistryRequest)?;
        Ok(Self {
            client,
            base,
            login,
        })
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let request = self
            .client
            .request(method, url)
            .header("content-type", CONTENT_TYPE);
        match &self.login {
            Some((user, password)) => request.basic_auth(user, Some(password)),
            None => request,
        }
    }

    /// Asks for the check of new versions. One who may not set it is told nothing: the registry's owner decides then.
    async fn require_compatibility(&self, subject: &str) -> Result<()> {
        let body = json!({ "compatibility": "FULL_TRANSITIVE" }).to_string();
        let request = self.request(Method::PUT, &["config", subject]).body(body);
        let answer = request.send().await.map_err(LogError::RegistryRequest)?;
        match answer.status() {
            status if status.is_success() => {}
            status @ (StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::METHOD_NOT_ALLOWED) => {
                warn!(
                    subject,
                    status = status.as_u16(),
                    "schema compatibility not set"
                );
            }
            status => return Err(refusal(subject, status, answer.text().await)),
        }
        Ok(())
    }
}

/// Sends a request and reads the JSON of a good answer.
async fn ask<T: for<'de> Deserialize<'de>>(subject: &str, request: RequestBuilder) -> Result<T> {
    let answer = request.send().await.map_err(LogError::RegistryRequest)?;
    let status = answer.status();
    if !status.is_success() {
        return Err(refusal(subject, status, answer.text().await));
    }
    let text = answer.text().await.map_err(LogError::RegistryRequest)?;
    serde_json::from_str(&text).map_err(|_| refusal(subject, StatusCode::BAD_GATEWAY, Ok(text)))
}

fn refusal(subject: &str, status: StatusCode, text: reqwest::Result<String>) -> LogError {
    let text = text.unwrap_or_default();
    let said = serde_json::from_str::<Value>(&text).ok();
    let said = said
        .as_ref()
        .and_then(|said| said.get("message"))
        .and_then(Value::as_str)
        .unwrap_or(&text);
    let message = said
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MESSAGE_CHARS_MAX)
        .collect();
    LogError::RegistryAnswer {
        status: status.as_u16(),
        subject: subject.to_owned(),
        message,
    }
}

#[async_trait]
impl Registry for ConfluentRegistry {
    async fn register(&self, subject: &str, schema: &str) -> Result<u32> {
        serde_json::from_str::<serde::de::IgnoredAny>(schema).map_err(|source| {
            LogError::Schema {
                subject: subject.to_owned(),
                source,
            }
        })?;
        self.require_compatibility(subject).await?;
        let body = json!({ "schema": schema }).to_string();
        let request = self
            .request(Method::POST, &["subjects", subject, "versions"])
            .body(body);
        Ok(ask::<IdAnswer>(subject, request).await?.id)
    }

    async fn by_id(&self, id: u32) -> Result<String> {
        let name = id.to_string();
        let request = self.request(Method::GET, &["schemas", "ids", &name]);
        match ask::<SchemaAnswer>(&name, request).await {
            Err(LogError::RegistryAnswer { status: 404, .. }) => Err(LogError::NoSuchSchema { id }),
            other => Ok(other?.schema),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]

    use std::sync::mpsc;

    use hostread_disk::SimDisk;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::ErrorKind;

    const ONE: &str = r#"{"type":"record","name":"A","fields":[]}"#;
    const TWO: &str = r#"{"type":"record","name":"B","fields":[]}"#;

    #[tokio::test]
    async fn ids_survive_restarts_and_crashes() {
        let disk = SimDisk::new(3);
        let open = || InProcessRegistry::open(Arc::new(disk.clone()), Path::new("log")).unwrap();
        let registry = open();
        assert_eq!(registry.register("a-value", ONE).await.unwrap(), 1);
        assert_eq!(registry.register("b-value", TWO).await.unwrap(), 2);
        let spaced = ONE.replace(',', " ,\n ");
        assert_eq!(
            registry.register("a-value", &spaced).await.unwrap(),
            1,
            "white space is no difference"
        );
        assert_eq!(
            registry.register("c-value", ONE).await.unwrap(),
            1,
            "one schema, one id"
        );
        for _ in 0..2 {
            disk.crash();
            let registry = open();
            assert_eq!(registry.register("b-value", TWO).await.unwrap(), 2);
            assert_eq!(registry.by_id(1).await.unwrap(), canonical(ONE));
            for id in [0, 3, u32::MAX] {
                assert!(matches!(
                    registry.by_id(id).await,
                    Err(LogError::NoSuchSchema { .. })
                ));
            }
        }
        assert_eq!(
            registry
                .register("d-value", "no json")
                .await
                .unwrap_err()
                .kind(),
            ErrorKind::Input
        );
    }

    fn canonical(schema: &str) -> String {
        serde_json::from_str::<Value>(schema).unwrap().to_string()
    }

    /// Answers each request in turn and hands over what it was asked.
    async fn server(answers: Vec<(u16, &'static str)>) -> (String, mpsc::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/api/", listener.local_addr().unwrap());
        let (asked, requests) = mpsc::channel();
        tokio::spawn(async move {
            for (status, body) in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 4096];
                let mut len = 0;
                // Head and body may come apart; these bodies all end the request with a brace.
                while !request[..len].ends_with(b"}") && !request.starts_with(b"GET") {
                    len += stream.read(&mut request[len..]).await.unwrap();
                }
                asked
                    .send(String::from_utf8_lossy(&request[..len.max(60)]).into_owned())
                    .unwrap();
                let head = format!(
                    "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                stream
                    .write_all(format!("{head}{body}").as_bytes())
                    .await
                    .unwrap();
            }
        });
        (url, requests)
    }

    #[tokio::test]
    async fn confluent_registers_and_resolves() {
        let answers = vec![
            (200, "{}"),
            (200, r#"{"id":7}"#),
            (200, r#"{"schema":"{\"type\":\"int\"}"}"#),
        ];
        let (url, asked) = server(answers).await;
        let registry =
            ConfluentRegistry::new(&url, Some(("me".to_owned(), "secret".to_owned()))).unwrap();
        assert_eq!(registry.register("odd/na me-value", ONE).await.unwrap(), 7);
        assert_eq!(registry.by_id(7).await.unwrap(), r#"{"type":"int"}"#);
        let config = asked.recv().unwrap();
        assert!(
            config.starts_with("PUT /api/config/odd%2Fna%20me-value HTTP"),
            "{config}"
        );
        assert!(
            config.contains("FULL_TRANSITIVE") && config.contains("Basic "),
            "{config}"
        );
        let register = asked.recv().unwrap();
        assert!(
            register.starts_with("POST /api/subjects/odd%2Fna%20me-value/versions HTTP"),
            "{register}"
        );
        assert!(
            register.contains(r#"{"schema":"{\"type\":\"record\""#),
            "{register}"
        );
        let by_id = asked.recv().unwrap();
        assert!(by_id.starts_with("GET /api/schemas/ids/7 HTTP"), "{by_id}");
    }

    #[tokio::test]
    async fn confluent_refusals_are_told_apart() {
        let incompatible = (
            409,
            r#"{"error_code":409,"message":"incompatible\nwith version 1"}"#,
        );
        let answers = vec![
            (403, ""),
            incompatible,
            (404, "{}"),
            (200, "<html>"),
            (200, "{}"),
            (503, "later"),
            (429, "slow"),
        ];
        let (url, _asked) = server(answers).await;
        let registry = ConfluentRegistry::new(&url, None).unwrap();
        let error = registry.register("a-value", ONE).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        assert!(
            error.to_string().ends_with("incompatible with version 1"),
            "{error}"
        );
        assert!(matches!(
            registry.by_id(1).await,
            Err(LogError::NoSuchSchema { id: 1 })
        ));
        for _ in 0..2 {
            let error = registry.by_id(1).await.unwrap_err();
            assert_eq!(
                error.kind(),
                ErrorKind::Dependency,
                "an answer that is none: {error}"
            );
        }
        for _ in 0..2 {
            assert_eq!(
                registry.by_id(1).await.unwrap_err().kind(),
                ErrorKind::Dependency
            );
        }
        let error = registry.by_id(1).await.unwrap_err();
        assert!(
            matches!(error, LogError::RegistryRequest(_)),
            "nobody answers any more: {error}"
        );
        assert_eq!(
            registry
                .register("a-value", "no json")
                .await
                .unwrap_err()
                .kind(),
            ErrorKind::Input
        );
        assert!(ConfluentRegistry::new("no address", None).is_err());
        assert!(ConfluentRegistry::new("mailto:x", None).is_err());
    }
}
