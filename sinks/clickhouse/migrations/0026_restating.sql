CREATE TABLE IF NOT EXISTS serving.restating
(
    version UInt64 COMMENT 'Owner that wrote it, and how often it had written one: epoch x 2^40 + count',
    tick UInt64 COMMENT 'Ingest step of the newest change that the numbers do not follow yet',
    clock DateTime64(3, 'UTC') COMMENT 'The clock of that step',
    accepted_at DateTime64(3, 'UTC') COMMENT 'When the oldest such change was accepted',
    told_at DateTime64(3, 'UTC') COMMENT 'When it was so',
    stage LowCardinality(String) COMMENT 'computing, then writing; empty: every number follows',
    done UInt64 COMMENT 'Listener-days counted anew; then changes written',
    total UInt64 COMMENT 'Of so many found so far; then of so many that were to be written'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY tuple()
COMMENT 'How far numbers are with a change of rules, catalog, deals or settings: one row'
