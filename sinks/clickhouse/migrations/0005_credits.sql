CREATE TABLE IF NOT EXISTS serving.credits
(
    tenant LowCardinality(String) COMMENT 'Whose row',
    conversion UInt64 COMMENT 'Id of the conversion',
    line LowCardinality(String) COMMENT 'Line item',
    order_reference String COMMENT 'The shop''s order reference',
    campaign LowCardinality(String) COMMENT 'Campaign of the line item',
    day Date32 COMMENT 'UTC day of the conversion',
    touches UInt32 COMMENT 'Touches of the line item on the path',
    currency LowCardinality(String) COMMENT 'ISO 4217',
    credit_first_micros Int64 COMMENT 'Credit under first, in millionths of the conversion',
    credit_last_micros Int64 COMMENT 'Credit under last, in millionths of the conversion',
    credit_linear_micros Int64 COMMENT 'Credit under linear, in millionths of the conversion',
    credit_time_decay_micros Int64 COMMENT 'Credit under time_decay, in millionths of the conversion',
    credit_position_micros Int64 COMMENT 'Credit under position, in millionths of the conversion',
    money_first_micros Int64 COMMENT 'Money under first, in millionths',
    money_last_micros Int64 COMMENT 'Money under last, in millionths',
    money_linear_micros Int64 COMMENT 'Money under linear, in millionths',
    money_time_decay_micros Int64 COMMENT 'Money under time_decay, in millionths',
    money_position_micros Int64 COMMENT 'Money under position, in millionths',
    version UInt64 COMMENT 'Epoch x 2^40 + tick; of rows with one key the highest stands',
    is_deleted UInt8 COMMENT '1: the row is gone'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (tenant, conversion, line)
COMMENT 'Credits and money of a line item in a conversion, by model'
