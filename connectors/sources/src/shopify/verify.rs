//! Whether a delivery comes from Shopify. Pure.

use hostread_connectors_kit::signature::hmac_sha256_base64_matches;

use super::ShopifyConnection;

/// The header with base64(HMAC-SHA256(secret, raw body)).
pub const SIGNATURE_HEADER: &str = "x-shopify-hmac-sha256";

/// Whether the signature over the raw body is right. An empty secret signs nothing.
#[must_use]
pub fn verify(connection: &ShopifyConnection, body: &[u8], signature: Option<&str>) -> bool {
    !connection.secret.is_empty()
        && signature.is_some_and(|signature| {
            hmac_sha256_base64_matches(connection.secret.as_bytes(), body, signature)
        })
}
