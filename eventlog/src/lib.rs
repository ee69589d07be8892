//! hostread-eventlog
