CREATE TABLE IF NOT EXISTS serving.delivery_daily
(
    tenant LowCardinality(String) COMMENT 'Whose row',
    line LowCardinality(String) COMMENT 'Line item',
    day Date32 COMMENT 'Civil day in the zone of the line item',
    delivered Int64 COMMENT 'Ads delivered',
    billable Int64 COMMENT 'Of these in flight and, baked-in, before day 30',
    version UInt64 COMMENT 'Epoch x 2^40 + tick; of rows with one key the highest stands',
    is_deleted UInt8 COMMENT '1: the row is gone'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY toYYYYMM(day)
ORDER BY (tenant, line, day)
COMMENT 'Ads delivered per line item and billing day'
