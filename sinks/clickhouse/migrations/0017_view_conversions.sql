CREATE OR REPLACE VIEW hostread.conversions
(
    tenant String COMMENT 'Whose row',
    conversion String COMMENT 'Id',
    order_reference String COMMENT 'The shop''s order reference; without one the id in hexadecimal',
    store String COMMENT 'Store',
    brand String COMMENT 'Brand of the store',
    kind String COMMENT 'The strongest signal of it',
    converted_at DateTime64(3, 'UTC') COMMENT 'When',
    household String COMMENT 'Keyed hash of the buyer''s address; empty: none',
    value Decimal(38, 6) COMMENT 'Value after refunds',
    refunded Decimal(38, 6) COMMENT 'What was given back',
    currency String COMMENT 'ISO 4217',
    code String COMMENT 'Promo code',
    code_line String COMMENT 'Line item that the code names',
    matched_by String COMMENT 'none, household or code',
    signals UInt32 COMMENT 'Reports of it',
    touches UInt32 COMMENT 'Touches on its path',
    touches_cut UInt32 COMMENT 'Touches beyond the limit of the path'
)
AS SELECT
    tenant,
    concat('cnv_', leftPad(lower(hex(conversion)), 16, '0')) AS conversion,
    order_reference,
    store,
    brand,
    kind,
    converted_at,
    if(household = 0, '', concat('hh_', leftPad(lower(hex(household)), 16, '0'))) AS household,
    toDecimal128(value_micros, 6) / 1000000 AS value,
    toDecimal128(refunded_micros, 6) / 1000000 AS refunded,
    currency,
    code,
    code_line,
    matched_by,
    signals,
    touches,
    touches_cut
FROM serving.conversions FINAL
COMMENT 'One row per order, lead or sale'
