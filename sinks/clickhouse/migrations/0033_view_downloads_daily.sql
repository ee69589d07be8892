CREATE OR REPLACE VIEW hostread.downloads_daily
(
    tenant String COMMENT 'Whose row',
    day Date32 COMMENT 'UTC day',
    show String COMMENT 'Show',
    episode String COMMENT 'Episode',
    source_kind String COMMENT 'What saw them',
    downloads Int64 COMMENT 'Downloads by calendar days of UTC: those that are billed by and credited',
    downloads_first_touch Int64 COMMENT 'The same requests by windows of 24 hours from the first of each download, by the day of that',
    downloads_last_touch Int64 COMMENT 'The same requests by windows that go on while less than 24 hours lie between two, by the day of the first'
)
AS SELECT
    tenant,
    day,
    show,
    episode,
    source_kind,
    sumIf(serving.downloads_daily.downloads, window_kind = 'calendar_day') AS downloads,
    sumIf(serving.downloads_daily.downloads, window_kind = 'first_touch') AS downloads_first_touch,
    sumIf(serving.downloads_daily.downloads, window_kind = 'last_touch') AS downloads_last_touch
FROM serving.downloads_daily FINAL
GROUP BY tenant, day, show, episode, source_kind
COMMENT 'Downloads per show, episode, day and source kind, under each window'
