CREATE TABLE IF NOT EXISTS serving.verdicts
(
    tenant LowCardinality(String) COMMENT 'Whose row',
    day Date32 COMMENT 'UTC day of the request',
    request UInt128 COMMENT 'Event id',
    requested_at DateTime64(3, 'UTC') COMMENT 'When, by the source''s clock',
    verdict LowCardinality(String) COMMENT 'counted, below_threshold, or the first filter that said no',
    enclosure LowCardinality(String) COMMENT 'Audio address',
    episode LowCardinality(String) COMMENT 'Episode; empty when no episode names the enclosure',
    listener UInt64 COMMENT 'Keyed hash of address, agent and session',
    sent_bytes UInt64 COMMENT 'Bytes sent',
    version UInt64 COMMENT 'Epoch x 2^40 + tick; of rows with one key the highest stands',
    is_deleted UInt8 COMMENT '1: the row is gone'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY toYYYYMM(day)
ORDER BY (tenant, day, request)
SETTINGS ttl_only_drop_parts = 1
COMMENT 'A verdict for every request'
