CREATE TABLE IF NOT EXISTS serving.pacing
(
    tenant LowCardinality(String) COMMENT 'Whose row',
    line LowCardinality(String) COMMENT 'Line item',
    kind LowCardinality(String) COMMENT 'baked_in or inserted',
    goal UInt64 COMMENT 'Ads sold',
    delivered Int64 COMMENT 'Billable ads delivered',
    expected Int64 COMMENT 'Ads that the plan expects by now',
    index_permille Int64 COMMENT '1000 x delivered / expected; -1: nothing expected',
    state LowCardinality(String) COMMENT 'none, under, at_risk, on_track, over or stalled',
    as_of DateTime64(3, 'UTC') COMMENT 'The hour of the clock that it is judged at',
    version UInt64 COMMENT 'Epoch x 2^40 + tick; of rows with one key the highest stands',
    is_deleted UInt8 COMMENT '1: the row is gone'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (tenant, line)
COMMENT 'How a line item stands against its plan'
