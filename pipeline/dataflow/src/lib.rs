//! hostread-dataflow
