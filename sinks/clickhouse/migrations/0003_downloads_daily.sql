CREATE TABLE IF NOT EXISTS serving.downloads_daily
(
    tenant LowCardinality(String) COMMENT 'Whose row',
    day Date32 COMMENT 'UTC day',
    window_kind LowCardinality(String) COMMENT 'Window that makes requests one download',
    show LowCardinality(String) COMMENT 'Show',
    episode LowCardinality(String) COMMENT 'Episode',
    source_kind LowCardinality(String) COMMENT 'What saw them',
    downloads Int64 COMMENT 'Downloads',
    version UInt64 COMMENT 'Epoch x 2^40 + tick; of rows with one key the highest stands',
    is_deleted UInt8 COMMENT '1: the row is gone'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY toYYYYMM(day)
ORDER BY (tenant, day, show, episode, source_kind, window_kind)
COMMENT 'Downloads per show, episode, day and source kind'
