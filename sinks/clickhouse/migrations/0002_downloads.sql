CREATE TABLE IF NOT EXISTS serving.downloads
(
    tenant LowCardinality(String) COMMENT 'Whose row',
    day Date32 COMMENT 'UTC day of the first request',
    window_kind LowCardinality(String) COMMENT 'Window that makes requests one download',
    episode LowCardinality(String) COMMENT 'Episode',
    listener UInt64 COMMENT 'Keyed hash of address, agent and session',
    started_at DateTime64(3, 'UTC') COMMENT 'First request that passed the filters',
    show LowCardinality(String) COMMENT 'Show',
    household UInt64 COMMENT 'Keyed hash of the address; 0: none',
    source_kind LowCardinality(String) COMMENT 'What saw it',
    union_bytes UInt64 COMMENT 'Bytes delivered, each once',
    needed_bytes UInt64 COMMENT 'Bytes that make a download',
    requests UInt32 COMMENT 'Requests that passed the filters',
    version UInt64 COMMENT 'Epoch x 2^40 + tick; of rows with one key the highest stands',
    is_deleted UInt8 COMMENT '1: the row is gone'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY toYYYYMM(day)
ORDER BY (tenant, day, episode, listener, started_at, window_kind)
COMMENT 'Requests that count as one download'
