//! Events of a command, through the gateway's door `/v1/events`: as a tenant, or not at all.

use anyhow::{Context, Result, anyhow, bail};
use hostread_gateway::upload::client;
use reqwest::{Client, StatusCode, Url};
use serde_json::Value;

use super::dead_letters::retry::why_refused;
use crate::config::Config;

/// Events of a request; the door takes 5,000.
const EVENTS_AT_ONCE: usize = 1_000;

/// See the module.
pub(super) struct EventsDoor {
    client: Client,
    gateway: Url,
    api_key: String,
}

impl EventsDoor {
    /// At the gateway that is named, or that of the settings.
    pub(super) fn new(config: &Config, gateway: Option<&str>, api_key: String) -> Result<Self> {
        let listen = || format!("http://{}", config.gateway.listen);
        let gateway = gateway.map_or_else(listen, ToOwned::to_owned);
        let gateway = Url::parse(&gateway).map_err(|_| {
            anyhow!("\"{gateway}\" is not an address such as http://127.0.0.1:8080")
        })?;
        Ok(Self {
            client: client(&gateway)?,
            gateway,
            api_key,
        })
    }

    /// Sends them; what the door refused, each as it says.
    pub(super) async fn send(&self, events: &[Value]) -> Result<Vec<Value>> {
        let mut rejected = Vec::new();
        for some in events.chunks(EVENTS_AT_ONCE) {
            let asked = self.client.post(self.gateway.join("/v1/events")?);
            let asked = asked.bearer_auth(&self.api_key);
            let answer = asked.body(Value::from(some).to_string()).send().await;
            let answer = answer.with_context(|| {
                format!(
                    "the gateway at {} does not answer; it must run for this, and the same command sends it again",
                    self.gateway
                )
            })?;
            let status = answer.status();
            let text = answer.text().await.unwrap_or_default();
            let said: Value = serde_json::from_str(&text).unwrap_or_default();
            match said["rejected"].as_array() {
                Some(list) => rejected.extend(list.iter().cloned()),
                None if status == StatusCode::OK => {}
                None => bail!("the gateway answered {status}: {}", why_refused(&text)),
            }
        }
        Ok(rejected)
    }

    /// Sends one; it must be taken.
    pub(super) async fn send_one(&self, event: Value) -> Result<()> {
        match self.send(&[event]).await?.first() {
            None => Ok(()),
            Some(said) => {
                let why = said["message"].as_str().unwrap_or("it cannot be read");
                bail!("the gateway refused it: {why}")
            }
        }
    }
}
