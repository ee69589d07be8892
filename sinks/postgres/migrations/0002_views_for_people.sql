-- What people and the platform read. The views run with the reader's rights, so the row filters of serving hold.
CREATE SCHEMA IF NOT EXISTS hostread;
GRANT USAGE ON SCHEMA hostread TO hostread_reader;

CREATE VIEW hostread.delivery_daily WITH (security_invoker = true) AS
SELECT tenant, line, day, delivered, billable FROM serving.delivery_daily;
COMMENT ON VIEW hostread.delivery_daily IS 'Ads delivered per line item and billing day';
COMMENT ON COLUMN hostread.delivery_daily.tenant IS 'Whose row';
COMMENT ON COLUMN hostread.delivery_daily.line IS 'Line item';
COMMENT ON COLUMN hostread.delivery_daily.day IS 'Civil day in the zone of the line item';
COMMENT ON COLUMN hostread.delivery_daily.delivered IS 'Ads delivered';
COMMENT ON COLUMN hostread.delivery_daily.billable IS 'Of these in flight and, baked-in, before day 30';

CREATE VIEW hostread.pacing WITH (security_invoker = true) AS
SELECT tenant, line, kind, state,
    CASE WHEN index_permille >= 0 THEN (index_permille::numeric / 1000)::numeric(18, 3) END AS pacing_index,
    delivered, expected, goal, as_of
FROM serving.pacing;
COMMENT ON VIEW hostread.pacing IS 'How a line item stands against its plan';
COMMENT ON COLUMN hostread.pacing.tenant IS 'Whose row';
COMMENT ON COLUMN hostread.pacing.line IS 'Line item';
COMMENT ON COLUMN hostread.pacing.kind IS 'baked_in or inserted';
COMMENT ON COLUMN hostread.pacing.state IS 'none, under, at_risk, on_track, over or stalled';
COMMENT ON COLUMN hostread.pacing.pacing_index IS 'Delivered / expected; null when nothing is expected';
COMMENT ON COLUMN hostread.pacing.delivered IS 'Billable ads delivered';
COMMENT ON COLUMN hostread.pacing.expected IS 'Ads that the plan expects by then';
COMMENT ON COLUMN hostread.pacing.goal IS 'Ads sold';
COMMENT ON COLUMN hostread.pacing.as_of IS 'The hour that it is judged at';

CREATE VIEW hostread.billing_lines WITH (security_invoker = true) AS
SELECT tenant, line, period, price_kind,
    CASE price_kind WHEN 'cpa' THEN (quantity::numeric / 1000000)::numeric(26, 6) ELSE quantity END AS quantity,
    (amount_micros::numeric / 1000000)::numeric(26, 6) AS amount, amount_micros, currency
FROM serving.billing_lines;
COMMENT ON VIEW hostread.billing_lines IS 'What a line item costs per month';
COMMENT ON COLUMN hostread.billing_lines.tenant IS 'Whose row';
COMMENT ON COLUMN hostread.billing_lines.line IS 'Line item';
COMMENT ON COLUMN hostread.billing_lines.period IS 'First day of the month, in the zone of the line item';
COMMENT ON COLUMN hostread.billing_lines.price_kind IS 'cpm: per 1,000 ads; cpa: per conversion';
COMMENT ON COLUMN hostread.billing_lines.quantity IS 'Ads, or conversions';
COMMENT ON COLUMN hostread.billing_lines.amount IS 'Amount, rounded to the smallest unit of the currency';
COMMENT ON COLUMN hostread.billing_lines.amount_micros IS 'The same in millionths';
COMMENT ON COLUMN hostread.billing_lines.currency IS 'ISO 4217';

CREATE VIEW hostread.restatements WITH (security_invoker = true) AS
SELECT tenant, tick, of_view, metric, period_end, of_key::jsonb ->> 'line' AS line, of_key, old_value, new_value,
    new_value::numeric - old_value AS difference, cause, cause_event, batches, batches_more
FROM serving.restatements;
COMMENT ON VIEW hostread.restatements IS 'Published numbers that moved, and why';
COMMENT ON COLUMN hostread.restatements.tenant IS 'Whose row';
COMMENT ON COLUMN hostread.restatements.tick IS 'Ingest step that moved it';
COMMENT ON COLUMN hostread.restatements.of_view IS 'View of the number';
COMMENT ON COLUMN hostread.restatements.metric IS 'Column of the number';
COMMENT ON COLUMN hostread.restatements.period_end IS 'Last day of the published period';
COMMENT ON COLUMN hostread.restatements.line IS 'Line item of the number, if it has one';
COMMENT ON COLUMN hostread.restatements.of_key IS 'Whole key of the number, as JSON';
COMMENT ON COLUMN hostread.restatements.old_value IS 'Before';
COMMENT ON COLUMN hostread.restatements.new_value IS 'After';
COMMENT ON COLUMN hostread.restatements.difference IS 'After less before';
COMMENT ON COLUMN hostread.restatements.cause IS 'event, batches or clock';
COMMENT ON COLUMN hostread.restatements.cause_event IS 'Event that moved it, where it has a tick of its own';
COMMENT ON COLUMN hostread.restatements.batches IS 'Up to 16 batches of the tick';
COMMENT ON COLUMN hostread.restatements.batches_more IS 'Further batches';

CREATE VIEW hostread.late_after_seal WITH (security_invoker = true) AS
SELECT tenant, tick, day, kind, of_view, of_key, metric, count, old_value, new_value FROM serving.late_after_seal;
COMMENT ON VIEW hostread.late_after_seal IS 'Changes that came after their day was sealed, and were not applied';
COMMENT ON COLUMN hostread.late_after_seal.tenant IS 'Whose row';
COMMENT ON COLUMN hostread.late_after_seal.tick IS 'Ingest step';
COMMENT ON COLUMN hostread.late_after_seal.day IS 'The sealed day';
COMMENT ON COLUMN hostread.late_after_seal.kind IS 'number, rows or events';
COMMENT ON COLUMN hostread.late_after_seal.of_view IS 'View of the number or rows';
COMMENT ON COLUMN hostread.late_after_seal.of_key IS 'Key of the number, as JSON';
COMMENT ON COLUMN hostread.late_after_seal.metric IS 'Column of the number';
COMMENT ON COLUMN hostread.late_after_seal.count IS 'How many';
COMMENT ON COLUMN hostread.late_after_seal.old_value IS 'What stands';
COMMENT ON COLUMN hostread.late_after_seal.new_value IS 'What it would have become';

GRANT SELECT ON ALL TABLES IN SCHEMA hostread TO hostread_reader;
