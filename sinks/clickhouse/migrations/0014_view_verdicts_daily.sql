CREATE OR REPLACE VIEW hostread.verdicts_daily
(
    tenant String COMMENT 'Whose row',
    day Date32 COMMENT 'UTC day',
    episode String COMMENT 'Episode; empty when no episode names the enclosure',
    verdict String COMMENT 'counted, below_threshold, or the first filter that said no',
    requests UInt64 COMMENT 'Requests'
)
AS SELECT
    tenant,
    day,
    episode,
    verdict,
    count() AS requests
FROM serving.verdicts FINAL
GROUP BY tenant, day, episode, verdict
COMMENT 'Requests per day, episode and verdict'
