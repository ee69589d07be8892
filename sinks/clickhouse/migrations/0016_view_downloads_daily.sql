CREATE OR REPLACE VIEW hostread.downloads_daily
(
    tenant String COMMENT 'Whose row',
    day Date32 COMMENT 'UTC day',
    show String COMMENT 'Show',
    episode String COMMENT 'Episode',
    source_kind String COMMENT 'What saw them',
    window_kind String COMMENT 'Window that makes requests one download',
    downloads Int64 COMMENT 'Downloads'
)
AS SELECT
    tenant,
    day,
    show,
    episode,
    source_kind,
    window_kind,
    downloads
FROM serving.downloads_daily FINAL
COMMENT 'Downloads per show, episode, day and source kind'
