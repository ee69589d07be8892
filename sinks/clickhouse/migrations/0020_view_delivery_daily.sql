CREATE OR REPLACE VIEW hostread.delivery_daily
(
    tenant String COMMENT 'Whose row',
    line String COMMENT 'Line item',
    day Date32 COMMENT 'Civil day in the zone of the line item',
    delivered Int64 COMMENT 'Ads delivered',
    billable Int64 COMMENT 'Of these in flight and, baked-in, before day 30'
)
AS SELECT
    tenant,
    line,
    day,
    delivered,
    billable
FROM serving.delivery_daily FINAL
COMMENT 'Ads delivered per line item and billing day'
