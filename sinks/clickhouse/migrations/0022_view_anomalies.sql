CREATE OR REPLACE VIEW hostread.anomalies
(
    tenant String COMMENT 'Whose row',
    series String COMMENT 'show_downloads or campaign_conversions',
    subject String COMMENT 'The show or campaign',
    hour DateTime64(3, 'UTC') COMMENT 'Start of the UTC hour',
    count Int64 COMMENT 'What was counted',
    median Int64 COMMENT 'Median of the hours before',
    mad Int64 COMMENT 'Median absolute deviation of the hours before',
    score Decimal(18, 3) COMMENT 'Robust z'
)
AS SELECT
    tenant,
    series,
    subject,
    hour,
    count,
    median,
    mad,
    toDecimal64(score_milli, 3) / 1000 AS score
FROM serving.anomalies FINAL
COMMENT 'Hours that stand out'
