SELECT * FROM serving.downloads
SELECT * FROM serving.downloads FINAL
SELECT * FROM serving.downloads WHERE tenant = 'ten_b'
SELECT * FROM serving.downloads WHERE tenant <> 'ten_a'
SELECT * FROM serving.downloads PREWHERE tenant = 'ten_b' WHERE 1
SELECT * FROM serving.downloads WHERE 1 OR tenant = 'ten_b'
SELECT toInt32(note) FROM serving.downloads
SELECT toInt32(note) FROM serving.credits
SELECT sum(toInt32(note)) FROM serving.downloads PREWHERE toInt32(note) > 0
SELECT throwIf(note LIKE 'ses%', note) FROM serving.credits
SELECT toTypeName(CAST(note AS Enum8('7' = 1))) FROM serving.credits
SELECT parseDateTimeBestEffort(note) FROM serving.credits WHERE note <> '7'
SELECT a.note, b.note FROM serving.credits a JOIN serving.downloads b ON a.id + 1 = b.id
SELECT a.note, b.note FROM serving.credits a FULL JOIN serving.downloads b ON a.id = b.id + 1
SELECT * FROM serving.credits a CROSS JOIN serving.downloads b LIMIT 10
SELECT * FROM serving.credits a ASOF JOIN serving.downloads b ON a.tenant = b.tenant AND a.id <= b.id LIMIT 5
SELECT * FROM serving.downloads UNION ALL SELECT tenant, id, note, 1 FROM serving.credits
SELECT * FROM serving.downloads INTERSECT SELECT tenant, id, note, version FROM serving.downloads
SELECT (SELECT groupUniqArray(note) FROM serving.credits)
SELECT groupUniqArray(tenant), groupUniqArray(note) FROM serving.credits
SELECT min(note), max(note), anyLast(note), argMax(note, id) FROM serving.credits
SELECT note FROM serving.credits ORDER BY id DESC LIMIT 1
SELECT note FROM serving.credits LIMIT 1 OFFSET 1
SELECT note FROM serving.credits LIMIT 1 BY note
SELECT note, row_number() OVER (ORDER BY id) FROM serving.credits LIMIT 5
SELECT lagInFrame(note) OVER (ORDER BY id), neighbor(note, 1) FROM serving.credits LIMIT 5
SELECT * FROM view(SELECT * FROM serving.credits)
SELECT 'ten_b' IN (SELECT tenant FROM serving.credits)
SELECT * EXCEPT (tenant) FROM serving.credits
SELECT COLUMNS('.*') FROM serving.credits
SELECT * REPLACE (upper(note) AS note) FROM serving.credits
SELECT * APPLY toString FROM serving.credits
SELECT arrayJoin(groupArray(note)) FROM serving.credits
WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT * FROM r, serving.credits
SELECT note FROM serving.credits SAMPLE 1/2
SELECT note FROM serving.credits GROUP BY note WITH TOTALS
SELECT note FROM serving.credits GROUP BY ROLLUP(note)
SELECT note, id FROM serving.credits ORDER BY id WITH FILL FROM 0 TO 10
SELECT * FROM downloads FORMAT JSON
SELECT * FROM downloads FORMAT JSONCompactEachRowWithNames
SELECT * FROM downloads FORMAT Parquet
SELECT currentDatabase(), version()
SELECT * FROM numbers(3)
SELECT * FROM generateRandom('a UInt8') LIMIT 1
SELECT x FROM (SELECT 'file' AS x) AS file
SELECT 'SELECT * FROM internal.x; file(''y'') /* '
SHOW TABLES
SHOW DATABASES
SHOW TABLES FROM serving
SHOW COLUMNS FROM downloads
DESCRIBE downloads
DESCRIBE TABLE serving.downloads
DESCRIBE hostread.mistake
DESCRIBE (SELECT * FROM serving.credits)
SELECT nothing FROM serving.credits
SELECT nothing(1)
SELECT toInt32('x')
SELECT 1 / 0, intDiv(1, 0)
SELECT * FROM serving.credits WHERE note LIKE '%\\%'
SELECT 1 -- '
