//! hostread-connectors
