//! Settings of one connection.

use std::fmt;

use serde::Deserialize;

/// One store's webhooks; its name in the configuration is the last part of the webhook's address.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShopifyConnection {
    /// The store that orders belong to, as the deals name it.
    pub store: String,
    /// The app's secret, with which Shopify signs.
    pub secret: String,
}

impl fmt::Debug for ShopifyConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShopifyConnection")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}
