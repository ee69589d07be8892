CREATE OR REPLACE VIEW hostread.freshness
(
    clock DateTime64(3, 'UTC') COMMENT 'The clock of the range''s last step',
    accepted_at DateTime64(3, 'UTC') COMMENT 'When the oldest event of the range was accepted',
    visible_at DateTime64(3, 'UTC') COMMENT 'When the range could be read; while it is restating: as of when',
    delay_ms Int64 COMMENT 'From accepted to visible, in milliseconds; while it is restating: so far',
    restating LowCardinality(String) COMMENT 'Empty for a range that can be read. computing, then writing: a change of rules, catalog, deals or settings that the numbers do not all follow yet, in a row that goes when they do',
    done UInt64 COMMENT 'While computing: listener-days counted anew. While writing: changes written',
    total UInt64 COMMENT 'Of so many. While computing: found so far'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    clock,
    accepted_at,
    greatest(visible_at, written_at) AS visible_at,
    toUnixTimestamp64Milli(greatest(visible_at, written_at)) - toUnixTimestamp64Milli(accepted_at) AS delay_ms,
    CAST('', 'LowCardinality(String)') AS restating,
    toUInt64(0) AS done,
    toUInt64(0) AS total
FROM serving.freshness
UNION ALL
SELECT
    clock,
    accepted_at,
    told_at AS visible_at,
    toUnixTimestamp64Milli(told_at) - toUnixTimestamp64Milli(accepted_at) AS delay_ms,
    stage AS restating,
    done,
    total
FROM serving.restating FINAL
WHERE stage != ''
    AND intDiv(version, 1099511627776) = (SELECT max(epoch) FROM internal.sink_progress WHERE sink = 'clickhouse')
COMMENT 'How old each range of events was when it became visible, and what is being restated'
