//! hostread-sink-postgres
