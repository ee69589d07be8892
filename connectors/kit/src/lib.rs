//! hostread-connectors-kit
