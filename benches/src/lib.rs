//! hostread-benches
