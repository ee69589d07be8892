CREATE OR REPLACE VIEW hostread.touchpoints
(
    tenant String COMMENT 'Whose row',
    conversion String COMMENT 'Id',
    order_reference String COMMENT 'The shop''s order reference; without one the id in hexadecimal',
    day Date32 COMMENT 'UTC day of the conversion',
    position UInt32 COMMENT 'Place on the path; 1 is the oldest',
    touches UInt32 COMMENT 'Touches on the path',
    touched_at DateTime64(3, 'UTC') COMMENT 'When, in whole seconds before the conversion',
    age_secs UInt32 COMMENT 'Whole seconds from the touch to the conversion',
    campaign String COMMENT 'Campaign',
    line String COMMENT 'Line item',
    show String COMMENT 'Show; empty: a promo code'
)
AS SELECT
    tenant,
    concat('cnv_', leftPad(lower(hex(conversion)), 16, '0')) AS conversion,
    order_reference,
    toDate32(converted_at, 'UTC') AS day,
    position,
    touches,
    converted_at - toIntervalSecond(age_secs) AS touched_at,
    age_secs,
    campaign,
    line,
    show
FROM serving.conversions FINAL
ARRAY JOIN
    arrayEnumerate(path_lines) AS position,
    path_lines AS line,
    path_campaigns AS campaign,
    path_shows AS show,
    path_ages AS age_secs
COMMENT 'One row per touch on the path of a conversion'
