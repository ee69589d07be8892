CREATE TABLE IF NOT EXISTS serving.late_after_seal
(
    tenant LowCardinality(String) COMMENT 'Whose row',
    tick UInt64 COMMENT 'Ingest step',
    day Date32 COMMENT 'The sealed day',
    kind LowCardinality(String) COMMENT 'number, rows or events',
    of_view LowCardinality(String) COMMENT 'View of the number or rows',
    of_key String COMMENT 'Key of the number, as JSON',
    metric LowCardinality(String) COMMENT 'Column of the number',
    count Int64 COMMENT 'How many',
    old_value Int64 COMMENT 'What stands',
    new_value Int64 COMMENT 'What it would have become',
    version UInt64 COMMENT 'Epoch x 2^40 + tick; of rows with one key the highest stands',
    is_deleted UInt8 COMMENT '1: the row is gone'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY toYYYYMM(day)
ORDER BY (tenant, day, tick, kind, of_view, of_key, metric)
COMMENT 'Changes that came after their day was sealed, and were not applied'
