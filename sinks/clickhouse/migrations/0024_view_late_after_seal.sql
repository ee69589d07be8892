CREATE OR REPLACE VIEW hostread.late_after_seal
(
    tenant String COMMENT 'Whose row',
    tick UInt64 COMMENT 'Ingest step',
    day Date32 COMMENT 'The sealed day',
    kind String COMMENT 'number, rows or events',
    of_view String COMMENT 'View of the number or rows',
    of_key String COMMENT 'Key of the number, as JSON',
    metric String COMMENT 'Column of the number',
    count Int64 COMMENT 'How many',
    old_value Int64 COMMENT 'What stands',
    new_value Int64 COMMENT 'What it would have become'
)
AS SELECT
    tenant,
    tick,
    day,
    kind,
    of_view,
    of_key,
    metric,
    count,
    old_value,
    new_value
FROM serving.late_after_seal FINAL
COMMENT 'Changes that came after their day was sealed, and were not applied'
