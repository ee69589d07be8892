//! hostread-sink-kit
