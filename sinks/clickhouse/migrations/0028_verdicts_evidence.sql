ALTER TABLE serving.verdicts
    ADD COLUMN IF NOT EXISTS evidence LowCardinality(String) COMMENT 'What the verdict rests on: the pattern, the class or network, the referrer, the status, the method, the limit; empty where the word says all' AFTER sent_bytes,
    ADD COLUMN IF NOT EXISTS seen_bytes UInt64 COMMENT 'below_threshold: bytes of the day''s requests for this version of the file together' AFTER evidence,
    ADD COLUMN IF NOT EXISTS needed_bytes UInt64 COMMENT 'below_threshold: bytes that make a download' AFTER seen_bytes
