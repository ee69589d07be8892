CREATE TABLE IF NOT EXISTS serving.conversions
(
    tenant LowCardinality(String) COMMENT 'Whose row',
    conversion UInt64 COMMENT 'Id',
    order_reference String COMMENT 'The shop''s order reference; without one the id in hexadecimal',
    store LowCardinality(String) COMMENT 'Store',
    brand LowCardinality(String) COMMENT 'Brand of the store',
    kind LowCardinality(String) COMMENT 'The strongest signal of it',
    converted_at DateTime64(3, 'UTC') COMMENT 'When',
    household UInt64 COMMENT 'Keyed hash of the buyer''s address; 0: none',
    value_micros Int64 COMMENT 'Value after refunds, in millionths',
    refunded_micros Int64 COMMENT 'What was given back, in millionths',
    currency LowCardinality(String) COMMENT 'ISO 4217',
    code String COMMENT 'Promo code',
    code_line LowCardinality(String) COMMENT 'Line item that the code names',
    signals UInt32 COMMENT 'Reports of it',
    touches UInt32 COMMENT 'Touches on its path',
    touches_cut UInt32 COMMENT 'Touches beyond the limit of the path',
    matched_by LowCardinality(String) COMMENT 'none, household or code',
    version UInt64 COMMENT 'Epoch x 2^40 + tick; of rows with one key the highest stands',
    is_deleted UInt8 COMMENT '1: the row is gone'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (tenant, conversion)
COMMENT 'One row per order, lead or sale'
