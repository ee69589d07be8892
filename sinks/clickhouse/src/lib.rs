//! hostread-sink-clickhouse
