//! hostread-journal
