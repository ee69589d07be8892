//! hostread-tidy
