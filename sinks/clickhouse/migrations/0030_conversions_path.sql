ALTER TABLE serving.conversions
    ADD COLUMN IF NOT EXISTS path_lines Array(LowCardinality(String)) COMMENT 'Line items of the touches on its path, oldest first' AFTER matched_by,
    ADD COLUMN IF NOT EXISTS path_campaigns Array(LowCardinality(String)) COMMENT 'Campaigns of these touches' AFTER path_lines,
    ADD COLUMN IF NOT EXISTS path_shows Array(LowCardinality(String)) COMMENT 'Shows of these touches; empty: a promo code' AFTER path_campaigns,
    ADD COLUMN IF NOT EXISTS path_ages Array(UInt32) COMMENT 'Whole seconds from these touches to the conversion' AFTER path_shows
