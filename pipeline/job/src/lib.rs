//! hostread-job
