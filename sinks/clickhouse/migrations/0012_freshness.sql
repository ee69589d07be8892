CREATE TABLE IF NOT EXISTS serving.freshness
(
    tick UInt64 COMMENT 'Last ingest step of the range',
    epoch UInt64 COMMENT 'Owner that wrote it',
    clock DateTime64(3, 'UTC') COMMENT 'The clock of that step',
    accepted_at DateTime64(3, 'UTC') COMMENT 'When the oldest event of the range was accepted',
    visible_at DateTime64(3, 'UTC') COMMENT 'When the range was handed over to be written',
    written_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When the range had been written, by the server',
    events UInt64 COMMENT 'Events in the range'
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(visible_at)
ORDER BY visible_at
TTL toDateTime(visible_at) + INTERVAL 30 DAY
COMMENT 'How old each range was when it became visible'
