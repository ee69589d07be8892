-- # System tables and what describes the machine
SELECT * FROM system.tables
SELECT * FROM `system`.`tables`
SELECT * FROM "system"."parts"
SELECT * FROM SYSTEM.parts
SELECT * FROM system/**/./**/query_log
SELECT * FROM system.one
SELECT * FROM information_schema.tables
SELECT * FROM INFORMATION_SCHEMA.COLUMNS
WITH s AS (SELECT * FROM system.users) SELECT * FROM s
SELECT (SELECT count() FROM system.processes)
SELECT 'x' IN (SELECT name FROM system.row_policies)
SELECT * FROM (SELECT * FROM system.settings)
SELECT 1 WHERE 1 IN system.one
SELECT 'x' IN internal.progress
SELECT hostName()
SELECT hostname(), 1
SELECT fqdn()
SELECT FQDN()
SELECT serverUUID()
SELECT getServerPort('http_port')
SELECT tcpPort()
SELECT uptime()
SELECT getMacro('x')
SELECT filesystemCapacity()
SELECT getSetting('max_threads')
SELECT getClientHTTPHeader('x-hostread-gate')
SELECT getOSKernelVersion()
SELECT showCertificate()
SELECT buildId()
SELECT logTrace('x')
SELECT sleep(3)
SELECT sleepEachRow(1) FROM numbers(100)
SHOW PROCESSLIST
SHOW USERS
SHOW GRANTS
SHOW ACCESS
SHOW SETTINGS LIKE '%'
SHOW CREATE TABLE serving.downloads
SHOW FUNCTIONS
SHOW ENGINES
SHOW INDEXES FROM serving.downloads
SHOW TABLES FROM system
SHOW TABLES FROM internal
-- # SETTINGS
SELECT * FROM serving.downloads SETTINGS readonly = 0
SELECT * FROM serving.downloads SETTINGS readonly = 2, max_execution_time = 0
SELECT * FROM serving.downloads SETTINGS additional_table_filters = {'serving.downloads': 'tenant = ''ten_b'''}
SELECT * FROM serving.downloads SETTINGS optimize_move_to_prewhere = 0
SELECT * FROM (SELECT * FROM serving.downloads SETTINGS max_threads = 1)
SELECT getClientHTTPHeader('x-hostread-gate') SETTINGS allow_get_client_http_header = 1
SELECT 1 FORMAT JSON SETTINGS output_format_write_statistics = 1
SELECT 1 SETTINGS dialect = 'prql'
SET readonly = 0
SET ROLE ALL
USE internal
-- # Table functions
SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')
SELECT * FROM URL('http://127.0.0.1:1/')
SELECT * FROM `url`('http://127.0.0.1:1/')
SELECT * FROM url /* x */ ('http://127.0.0.1:1/')
SELECT * FROM file('/etc/passwd', 'LineAsString')
SELECT * FROM file('*', 'LineAsString')
SELECT file('/etc/passwd')
SELECT File('/etc/passwd')
SELECT `file`('{DIR}/engines/clickhouse-config/users.xml')
SELECT "file"('data/status')
SELECT `fi\x6ce`('data/status')
SELECT `fil\e`('data/status')
SELECT file ('data/status')
SELECT file--
SELECT arrayMap(x -> file(x), ['data/status'])
SELECT {fn file('data/status')}
SELECT * FROM serving.downloads WHERE note = file('data/status')
SELECT file('data/status') AS f, f
SELECT 1e0file('data/status')
SELECT 1.file('data/status')
SELECT x'00',file('data/status')
SELECT 'a' 'b',file('data/status')
SELECT 'a\\',file('data/status')--'
SELECT 'a''b',file('data/status')
SELECT 'a\'',file('data/status'),'\''
SELECT "a""b",file('data/status')
SELECT `a``b`,file('data/status')
SELECT $$a$$,file('data/status')
SELECT $x$'$x$,file('data/status'),$y$'$y$
SELECT 1 /* ' */,file('data/status')/* ' */
SELECT 1 /* /* */,file('data/status')/* */ */
SELECT 1 # ',file('data/status')
SELECT 1 #!',file('data/status')
SELECT ‘a’,file('data/status')
SELECT “a”,file('data/status')
SELECT ﬁle('data/status')
SELECT fıle('data/status')
SELECT * FROM remote('127.0.0.1', 'serving', 'downloads')
SELECT * FROM remoteSecure('127.0.0.1', 'serving', 'downloads')
SELECT * FROM s3('http://127.0.0.1:1/a', 'CSV')
SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')
SELECT * FROM postgresql('127.0.0.1:1', 'a', 'b', 'c', 'd')
SELECT * FROM sqlite('/tmp/a', 'b')
SELECT * FROM mongodb('127.0.0.1:1', 'a', 'b', 'c', 'd', 'e String')
SELECT * FROM redis('127.0.0.1:1', 'a', 'a String')
SELECT * FROM executable('ls', 'CSV', 'a String')
SELECT * FROM eval('SELECT file(''data/status'')')
SELECT * FROM merge('serving', '.*')
SELECT * FROM merge('internal', '.*')
SELECT * FROM loop(serving.downloads) LIMIT 3
SELECT * FROM mergeTreeIndex('serving', 'downloads')
SELECT * FROM mergeTreeIndex(serving, downloads)
SELECT * FROM MERGETREEINDEX(serving, downloads)
SELECT * FROM view(SELECT * FROM mergeTreeIndex(serving, downloads))
SELECT * FROM numbers(1) AS n, mergeTreeIndex(serving, downloads) AS m
SELECT * FROM numbers(1) AS n JOIN mergeTreeIndex(serving, downloads) AS m ON 1
SELECT 2 IN mergeTreeIndex(serving, downloads)
SELECT * FROM mergeTreeAnalyzeIndexes(serving, downloads)
SELECT * FROM mergeTreeProjection(serving, downloads, x)
SELECT * FROM mergeTreeTextIndex(serving, downloads, 'x')
SELECT * FROM dictionary('x')
SELECT dictGet('x', 'y', 1)
SELECT dictGetOrDefault('internal.progress', 'note', 1, '')
SELECT joinGet('serving.downloads', 'note', 1)
SELECT hasColumnInTable('internal', 'progress', 'note')
SELECT * FROM cluster('default', serving.downloads)
SELECT * FROM iceberg('http://127.0.0.1:1/a')
SELECT * FROM deltaLake('http://127.0.0.1:1/a')
SELECT * FROM hudi('http://127.0.0.1:1/a')
SELECT * FROM python('x')
SELECT * FROM input('a String')
DESCRIBE TABLE url('http://127.0.0.1:1/')
DESCRIBE TABLE file('*')
DESCRIBE file('*')
DESC mergeTreeIndex(serving, downloads)
-- # Views and tables that are not for readers
SELECT * FROM hostread.mistake
SELECT * FROM internal.progress
SELECT * FROM `internal`.progress
SELECT * FROM "internal"."progress"
SELECT * FROM `int\x65rnal`.progress
SELECT note FROM internal.progress AS downloads
SELECT * FROM downloads WHERE note IN (SELECT note FROM internal.progress)
SELECT * FROM serving.unlisted
SELECT count() FROM serving.unlisted
SELECT * FROM downloads JOIN serving.unlisted USING (note)
DESCRIBE internal.progress
EXISTS TABLE internal.progress
SELECT * FROM {t:Identifier}
SELECT {c:Identifier} FROM serving.downloads
-- # Counts of foreign rows
EXPLAIN ESTIMATE SELECT * FROM serving.downloads
EXPLAIN indexes = 1 SELECT * FROM serving.downloads
EXPLAIN AST SELECT 1
SELECT * FROM (EXPLAIN ESTIMATE SELECT * FROM serving.downloads)
SELECT * FROM viewExplain('EXPLAIN', '', (SELECT 1))
SELECT _part_offset FROM serving.downloads
SELECT max(`_part_offset`) FROM serving.downloads
SELECT "_part", _partition_id FROM serving.downloads
SELECT t._block_number FROM serving.downloads AS t
SELECT _part_index, _part_uuid, _block_offset FROM serving.credits
-- # Writing and control
INSERT INTO serving.downloads VALUES ('ten_a', 1, 'x', 1)
INSERT INTO FUNCTION file('x.csv') SELECT 1
ALTER TABLE serving.downloads DELETE WHERE 1
UPDATE serving.downloads SET note = '' WHERE 1
DELETE FROM serving.downloads WHERE 1
DROP TABLE serving.downloads
TRUNCATE TABLE serving.downloads
RENAME TABLE serving.downloads TO serving.x
EXCHANGE TABLES serving.downloads AND serving.credits
OPTIMIZE TABLE serving.downloads FINAL
DETACH TABLE serving.downloads
ATTACH TABLE serving.x
UNDROP TABLE serving.downloads
CREATE TABLE hostread.x (a UInt8) ENGINE = Memory
CREATE TABLE hostread.x ENGINE = Merge('internal', '.*')
CREATE TEMPORARY TABLE x (a UInt8)
CREATE VIEW hostread.y AS SELECT * FROM serving.downloads
CREATE VIEW hostread.y DEFINER = hostread_app SQL SECURITY DEFINER AS SELECT * FROM internal.progress
CREATE DICTIONARY hostread.d (a UInt8) PRIMARY KEY a SOURCE(CLICKHOUSE(TABLE 'progress' DB 'internal')) LAYOUT(FLAT()) LIFETIME(1)
CREATE FUNCTION f AS (x) -> x
CREATE USER u
GRANT ALL ON *.* TO reader_ten_a
REVOKE ALL ON *.* FROM reader_ten_b
KILL QUERY WHERE 1
SYSTEM SHUTDOWN
SYSTEM STOP LISTEN HTTP
SYSTEM START LISTEN TCP
SYSTEM RELOAD CONFIG
BACKUP TABLE serving.downloads TO Disk('backups', 'x')
RESTORE TABLE serving.downloads FROM Disk('backups', 'x')
CHECK TABLE serving.downloads
EXECUTE AS hostread_app SELECT 1
PARALLEL WITH SELECT 1
BEGIN TRANSACTION
SELECT 1 INTO OUTFILE '/tmp/x'
SELECT 1 INTO OUTFILE 'x' FORMAT CSV
SELECT 1; SELECT 2
SELECT 1; DROP TABLE serving.downloads
; DROP TABLE serving.downloads
SELECT 1;;SELECT 2;
(SELECT 1); DROP TABLE serving.downloads
SELECT 1 FORMAT Null
SELECT 1 FORMAT Template
SELECT 1 FORMAT HTML
SELECT * FROM downloads FORMAT Npy
SELECT throwIf(1, 'x')
-- # Nothing a query is made of
'
"
/*
--
SELECT
SELECT (((
SELECT * FROM
FROM downloads
FROM system.tables SELECT *
VALUES (1)
((((((((((
