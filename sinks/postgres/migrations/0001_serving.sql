-- Tables that the sink writes and the platform reads. Roles: the owner runs migrations and sees no row (row-level
-- security is forced); hostread_sink writes rows of every tenant; hostread_reader reads rows of the tenant that its
-- session names in the setting hostread.tenant, and none without it.
CREATE SCHEMA IF NOT EXISTS serving;
GRANT USAGE ON SCHEMA serving TO hostread_sink, hostread_reader;

CREATE TABLE serving.sink_progress (
    sink text PRIMARY KEY,
    journal_id text NOT NULL CHECK (journal_id ~ '^[0-9a-f]{32}$'),
    epoch bigint NOT NULL CHECK (epoch > 0),
    upper bigint NOT NULL CHECK (upper >= 0),
    written_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE serving.sink_progress IS 'Who owns the sink, and the tick below which everything is written';

CREATE TABLE serving.delivery_daily (
    tenant text NOT NULL CHECK (tenant <> ''),
    line text NOT NULL,
    day date NOT NULL,
    delivered bigint NOT NULL,
    billable bigint NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (tenant, line, day)
);

CREATE TABLE serving.pacing (
    tenant text NOT NULL CHECK (tenant <> ''),
    line text NOT NULL,
    kind text NOT NULL,
    goal numeric(20, 0) NOT NULL,
    delivered bigint NOT NULL,
    expected bigint NOT NULL,
    index_permille bigint NOT NULL,
    state text NOT NULL,
    as_of timestamptz NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (tenant, line)
);

CREATE TABLE serving.billing_lines (
    tenant text NOT NULL CHECK (tenant <> ''),
    line text NOT NULL,
    period date NOT NULL CHECK (extract(day FROM period) = 1),
    price_kind text NOT NULL,
    quantity bigint NOT NULL,
    amount_micros bigint NOT NULL,
    currency text NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (tenant, line, period)
);

CREATE TABLE serving.restatements (
    tenant text NOT NULL CHECK (tenant <> ''),
    tick bigint NOT NULL,
    of_view text NOT NULL,
    of_key text NOT NULL,
    metric text NOT NULL,
    period_end date NOT NULL,
    old_value bigint NOT NULL,
    new_value bigint NOT NULL,
    cause text NOT NULL,
    cause_event text NOT NULL,
    batches text[] NOT NULL,
    batches_more bigint NOT NULL,
    version bigint NOT NULL
);
-- A key is as long as the names in it; an index entry is not.
CREATE UNIQUE INDEX restatements_key ON serving.restatements (tenant, tick, of_view, metric, md5(of_key));

CREATE TABLE serving.late_after_seal (
    tenant text NOT NULL CHECK (tenant <> ''),
    tick bigint NOT NULL,
    day date NOT NULL,
    kind text NOT NULL,
    of_view text NOT NULL,
    of_key text NOT NULL,
    metric text NOT NULL,
    count bigint NOT NULL,
    old_value bigint NOT NULL,
    new_value bigint NOT NULL,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX late_after_seal_key
    ON serving.late_after_seal (tenant, tick, day, kind, of_view, metric, md5(of_key));

GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA serving TO hostread_sink;
GRANT SELECT ON serving.delivery_daily, serving.pacing, serving.billing_lines, serving.restatements,
    serving.late_after_seal TO hostread_reader;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['delivery_daily', 'pacing', 'billing_lines', 'restatements', 'late_after_seal'] LOOP
        EXECUTE format('ALTER TABLE serving.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE serving.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY writer ON serving.%I TO hostread_sink USING (true) WITH CHECK (true)', name);
        EXECUTE format('CREATE POLICY reader ON serving.%I FOR SELECT TO hostread_reader '
            'USING (tenant = current_setting(''hostread.tenant'', true))', name);
    END LOOP;
END $$;
