CREATE TABLE IF NOT EXISTS serving.restatements
(
    tenant LowCardinality(String) COMMENT 'Whose row',
    tick UInt64 COMMENT 'Ingest step that moved it',
    of_view LowCardinality(String) COMMENT 'View of the number',
    of_key String COMMENT 'Key of the number, as JSON',
    metric LowCardinality(String) COMMENT 'Column of the number',
    period_end Date32 COMMENT 'Last day of the published period',
    old_value Int64 COMMENT 'Before',
    new_value Int64 COMMENT 'After',
    cause LowCardinality(String) COMMENT 'event, batches or clock',
    cause_event String COMMENT 'Event that moved it, where it has a tick of its own',
    batches Array(String) COMMENT 'Up to 16 batches of the tick',
    batches_more UInt32 COMMENT 'Further batches',
    version UInt64 COMMENT 'Epoch x 2^40 + tick; of rows with one key the highest stands',
    is_deleted UInt8 COMMENT '1: the row is gone'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (tenant, tick, of_view, of_key, metric)
COMMENT 'Published numbers that moved, and why'
