//! The API key of a command that calls the doors as a tenant.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

/// Where the key is.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ApiKeyArgs {
    /// The tenant's API key; better in a file
    #[arg(
        long,
        env = "HOSTREAD_API_KEY",
        hide_env_values = true,
        value_name = "KEY"
    )]
    api_key: Option<String>,
    /// File that holds the tenant's API key
    #[arg(
        long,
        env = "HOSTREAD_API_KEY_FILE",
        hide_env_values = true,
        value_name = "FILE",
        conflicts_with = "api_key"
    )]
    api_key_file: Option<PathBuf>,
}

impl ApiKeyArgs {
    /// The key; there must be one.
    pub(crate) fn read(&self) -> Result<String> {
        let Some(key) = self.read_if_any()? else {
            bail!("no API key; put it into HOSTREAD_API_KEY, or name its file with --api-key-file")
        };
        Ok(key)
    }

    /// The key, if one is named.
    pub(crate) fn read_if_any(&self) -> Result<Option<String>> {
        let key = match (&self.api_key, &self.api_key_file) {
            (Some(key), _) => key.clone(),
            (None, Some(file)) => std::fs::read_to_string(file)
                .with_context(|| format!("reading the API key from {}", file.display()))?,
            (None, None) => return Ok(None),
        };
        let key = key.trim();
        ensure!(!key.is_empty(), "the API key is empty");
        Ok(Some(key.to_owned()))
    }
}
