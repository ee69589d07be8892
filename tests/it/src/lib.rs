//! hostread-it
