CREATE OR REPLACE VIEW hostread.downloads
(
    tenant String COMMENT 'Whose row',
    day Date32 COMMENT 'UTC day',
    window_kind String COMMENT 'Window that makes requests one download',
    show String COMMENT 'Show',
    episode String COMMENT 'Episode',
    listener String COMMENT 'Keyed hash of address, agent and session',
    household String COMMENT 'Keyed hash of the address; empty: none',
    started_at DateTime64(3, 'UTC') COMMENT 'First request that passed the filters',
    source_kind String COMMENT 'What saw it',
    union_bytes UInt64 COMMENT 'Bytes delivered, each once',
    needed_bytes UInt64 COMMENT 'Bytes that make a download',
    requests UInt32 COMMENT 'Requests that passed the filters'
)
AS SELECT
    tenant,
    day,
    window_kind,
    show,
    episode,
    concat('lsn_', leftPad(lower(hex(listener)), 16, '0')) AS listener,
    if(household = 0, '', concat('hh_', leftPad(lower(hex(household)), 16, '0'))) AS household,
    started_at,
    source_kind,
    union_bytes,
    needed_bytes,
    requests
FROM serving.downloads FINAL
COMMENT 'Requests that count as one download'
