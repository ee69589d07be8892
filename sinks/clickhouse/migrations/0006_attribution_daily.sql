CREATE TABLE IF NOT EXISTS serving.attribution_daily
(
    tenant LowCardinality(String) COMMENT 'Whose row',
    day Date32 COMMENT 'UTC day of the conversions',
    campaign LowCardinality(String) COMMENT 'Campaign',
    line LowCardinality(String) COMMENT 'Line item',
    show LowCardinality(String) COMMENT 'Show; empty for a code without a touch',
    model LowCardinality(String) COMMENT 'Attribution model',
    currency LowCardinality(String) COMMENT 'ISO 4217',
    credit_micros Int64 COMMENT 'Credits in millionths of a conversion',
    money_micros Int64 COMMENT 'Money in millionths',
    version UInt64 COMMENT 'Epoch x 2^40 + tick; of rows with one key the highest stands',
    is_deleted UInt8 COMMENT '1: the row is gone'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY toYYYYMM(day)
ORDER BY (tenant, day, campaign, line, show, model, currency)
COMMENT 'Credits and money per campaign, line item, show, model and day of the conversion'
