CREATE OR REPLACE VIEW hostread.attribution_daily
(
    tenant String COMMENT 'Whose row',
    day Date32 COMMENT 'UTC day of the conversions',
    campaign String COMMENT 'Campaign',
    line String COMMENT 'Line item',
    show String COMMENT 'Show; empty for a code without a touch',
    model String COMMENT 'Attribution model',
    conversions Decimal(38, 6) COMMENT 'Credits, in conversions',
    credit_micros Int64 COMMENT 'Credits, in millionths of a conversion',
    money Decimal(38, 6) COMMENT 'Share of the value after refunds',
    currency String COMMENT 'ISO 4217'
)
AS SELECT
    tenant,
    day,
    campaign,
    line,
    show,
    model,
    toDecimal128(credit_micros, 6) / 1000000 AS conversions,
    credit_micros,
    toDecimal128(money_micros, 6) / 1000000 AS money,
    currency
FROM serving.attribution_daily FINAL
COMMENT 'Credits and money per campaign, line item, show, model and day of the conversion'
