//! Cloudflare Logpush, dataset `http_requests`: a mapping that comes with the product. See this folder's README.

use std::sync::{Arc, LazyLock};

use crate::mapped::Mapping;

static MAPPING: LazyLock<Arc<Mapping>> = LazyLock::new(|| {
    let mapping = Mapping::read(include_bytes!("mapping.json"));
    Arc::new(mapping.expect("the mapping is checked by this folder's test"))
});

/// What Cloudflare calls the parts of a request.
#[must_use]
pub fn mapping() -> Arc<Mapping> {
    Arc::clone(&MAPPING)
}

#[cfg(test)]
mod tests;
