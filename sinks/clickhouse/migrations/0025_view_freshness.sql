CREATE OR REPLACE VIEW hostread.freshness
(
    clock DateTime64(3, 'UTC') COMMENT 'The clock of the range''s last step',
    accepted_at DateTime64(3, 'UTC') COMMENT 'When the oldest event of the range was accepted',
    visible_at DateTime64(3, 'UTC') COMMENT 'When the range could be read',
    delay_ms Int64 COMMENT 'From accepted to visible, in milliseconds'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    clock,
    accepted_at,
    greatest(visible_at, written_at) AS visible_at,
    toUnixTimestamp64Milli(greatest(visible_at, written_at)) - toUnixTimestamp64Milli(accepted_at) AS delay_ms
FROM serving.freshness
COMMENT 'How old each range of events was when it became visible'
