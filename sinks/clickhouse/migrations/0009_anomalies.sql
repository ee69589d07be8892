CREATE TABLE IF NOT EXISTS serving.anomalies
(
    tenant LowCardinality(String) COMMENT 'Whose row',
    series LowCardinality(String) COMMENT 'show_downloads or campaign_conversions',
    subject LowCardinality(String) COMMENT 'The show or campaign',
    hour DateTime64(3, 'UTC') COMMENT 'Start of the UTC hour',
    count Int64 COMMENT 'What was counted',
    median Int64 COMMENT 'Median of the hours before',
    mad Int64 COMMENT 'Median absolute deviation of the hours before',
    score_milli Int64 COMMENT 'Robust z in thousandths',
    version UInt64 COMMENT 'Epoch x 2^40 + tick; of rows with one key the highest stands',
    is_deleted UInt8 COMMENT '1: the row is gone'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (tenant, series, subject, hour)
COMMENT 'Hours that stand out'
