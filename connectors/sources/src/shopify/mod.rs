//! Webhooks of a Shopify store. Topics and fields: this folder's README.
//! ```text
//! config   which store, which secret      verify   HMAC over the raw body      map   a delivery to an order event
//! ```

pub mod config;
pub mod map;
pub mod verify;

pub use config::ShopifyConnection;
pub use map::Shopify;
pub use verify::verify;

#[cfg(test)]
mod tests;
