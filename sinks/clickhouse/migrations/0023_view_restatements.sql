CREATE OR REPLACE VIEW hostread.restatements
(
    tenant String COMMENT 'Whose row',
    tick UInt64 COMMENT 'Ingest step that moved it',
    of_view String COMMENT 'View of the number',
    metric String COMMENT 'Column of the number',
    period_end Date32 COMMENT 'Last day of the published period',
    show String COMMENT 'Show of the number, if it has one',
    episode String COMMENT 'Episode of the number, if it has one',
    campaign String COMMENT 'Campaign of the number, if it has one',
    line String COMMENT 'Line item of the number, if it has one',
    of_key String COMMENT 'Whole key of the number, as JSON',
    old_value Int64 COMMENT 'Before',
    new_value Int64 COMMENT 'After',
    difference Int64 COMMENT 'After less before',
    cause String COMMENT 'event, batches or clock',
    cause_event String COMMENT 'Event that moved it, where it has a tick of its own',
    batches Array(String) COMMENT 'Up to 16 batches of the tick',
    batches_more UInt32 COMMENT 'Further batches'
)
AS SELECT
    tenant,
    tick,
    of_view,
    metric,
    period_end,
    JSONExtractString(of_key, 'show') AS show,
    JSONExtractString(of_key, 'episode') AS episode,
    JSONExtractString(of_key, 'campaign') AS campaign,
    JSONExtractString(of_key, 'line') AS line,
    of_key,
    old_value,
    new_value,
    new_value - old_value AS difference,
    cause,
    cause_event,
    batches,
    batches_more
FROM serving.restatements FINAL
COMMENT 'Published numbers that moved, and why'
