//! hostread-simulate
