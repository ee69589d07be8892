CREATE OR REPLACE VIEW hostread.verdicts
(
    tenant String COMMENT 'Whose row',
    day Date32 COMMENT 'UTC day of the request',
    requested_at DateTime64(3, 'UTC') COMMENT 'When',
    request String COMMENT 'Event id',
    verdict String COMMENT 'counted, below_threshold, or the first filter that said no',
    enclosure String COMMENT 'Audio address',
    episode String COMMENT 'Episode; empty when no episode names the enclosure',
    listener String COMMENT 'Keyed hash of address, agent and session',
    sent_bytes UInt64 COMMENT 'Bytes sent',
    evidence String COMMENT 'What the verdict rests on: the pattern, the class or network, the referrer, the status, the method, the limit; empty where the word says all',
    seen_bytes UInt64 COMMENT 'below_threshold: bytes of the day''s requests for this version of the file together',
    needed_bytes UInt64 COMMENT 'below_threshold: bytes that make a download; of a counted one: hostread.downloads'
)
AS SELECT
    tenant,
    day,
    requested_at,
    leftPad(lower(hex(request)), 32, '0') AS request,
    verdict,
    enclosure,
    episode,
    concat('lsn_', leftPad(lower(hex(listener)), 16, '0')) AS listener,
    sent_bytes,
    evidence,
    seen_bytes,
    needed_bytes
FROM serving.verdicts FINAL
COMMENT 'A verdict for every request, and what it rests on'
