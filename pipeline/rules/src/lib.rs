//! hostread-rules
