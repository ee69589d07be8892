CREATE OR REPLACE VIEW hostread.pacing
(
    tenant String COMMENT 'Whose row',
    line String COMMENT 'Line item',
    kind String COMMENT 'baked_in or inserted',
    state String COMMENT 'none, under, at_risk, on_track, over or stalled',
    pacing_index Nullable(Decimal(18, 3)) COMMENT 'Delivered / expected; null when nothing is expected',
    delivered Int64 COMMENT 'Billable ads delivered',
    expected Int64 COMMENT 'Ads that the plan expects by then',
    goal UInt64 COMMENT 'Ads sold',
    as_of DateTime64(3, 'UTC') COMMENT 'The hour that it is judged at'
)
AS SELECT
    tenant,
    line,
    kind,
    state,
    if(index_permille < 0, NULL, toDecimal64(index_permille, 3) / 1000) AS pacing_index,
    delivered,
    expected,
    goal,
    as_of
FROM serving.pacing FINAL
COMMENT 'How a line item stands against its plan'
