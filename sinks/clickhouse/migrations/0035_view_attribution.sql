CREATE OR REPLACE VIEW hostread.attribution
(
    tenant String COMMENT 'Whose row',
    conversion String COMMENT 'Id',
    order_reference String COMMENT 'The shop''s order reference',
    day Date32 COMMENT 'UTC day of the conversion',
    campaign String COMMENT 'Campaign',
    line String COMMENT 'Line item',
    touches UInt32 COMMENT 'Touches of the line item on the path',
    model String COMMENT 'Attribution model',
    conversions Decimal(38, 6) COMMENT 'Credit, in conversions',
    credit_micros Int64 COMMENT 'Credit, in millionths of the conversion',
    money Decimal(38, 6) COMMENT 'Share of the value after refunds',
    currency String COMMENT 'ISO 4217'
)
AS SELECT
    tenant,
    concat('cnv_', leftPad(lower(hex(conversion)), 16, '0')) AS conversion,
    order_reference,
    day,
    campaign,
    line,
    touches,
    model,
    toDecimal128(credit_micros, 6) / 1000000 AS conversions,
    credit_micros,
    toDecimal128(money_micros, 6) / 1000000 AS money,
    currency
FROM serving.credits FINAL
ARRAY JOIN
    ['first', 'last', 'linear', 'time_decay', 'position', 'shapley'] AS model,
    [credit_first_micros, credit_last_micros, credit_linear_micros, credit_time_decay_micros, credit_position_micros, credit_shapley_micros] AS credit_micros,
    [money_first_micros, money_last_micros, money_linear_micros, money_time_decay_micros, money_position_micros, money_shapley_micros] AS money_micros
COMMENT 'Credit and money of a line item in a conversion, one row per model'
