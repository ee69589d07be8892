//! The configuration of the embedded ClickHouse, as text.
//! Needs: names that are plain words (checked here), paths without XML's special characters (escaped here).
//! Promises: pure; the same settings give the same text.
//! Invariant 1: a reader has grants on `hostread` and on the filtered tables of `serving`, and on nothing else.
//! Invariant 2: every filtered table has a row filter for every reader.

use std::path::Path;

use crate::access::{CLICKHOUSE_APP, GATE_HEADER, Secrets, reader_user, sha256_hex};
use crate::error::EngineError;

/// Limits of one reader query.
pub(crate) const READER_SECONDS_MAX: u32 = 10;
pub(crate) const READER_ROWS_MAX: u32 = 100_000;
pub(crate) const READER_BYTES_MAX: u32 = 16 << 20;
const READER_MEMORY_BYTES_MAX: u64 = 512 << 20;
const READER_THREADS_MAX: u32 = 2;
const READER_QUERIES_MAX: u32 = 8;
pub(crate) const QUERY_BYTES_MAX: usize = 64 << 10;

/// A tenant whose people may query.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    pub(crate) tenant: String,
}

/// What of the configuration is chosen from outside.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) readers: Vec<Reader>,
    pub(crate) filtered_tables: Vec<String>,
    pub(crate) memory_bytes_max: u64,
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        let tables = self.filtered_tables.iter().map(|table| ("table", table));
        let tenants = self.readers.iter().map(|reader| ("tenant", &reader.tenant));
        tables
            .chain(tenants)
            .try_for_each(|(what, name)| plain_name(what, name))
    }
}

/// Refuses what would need quoting in SQL or XML.
fn plain_name(what: &'static str, value: &str) -> Result<(), EngineError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !value.is_empty() && value.len() <= 64 && value.chars().all(plain) {
        Ok(())
    } else {
        Err(EngineError::Name {
            what,
            value: value.to_owned(),
        })
    }
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

pub(crate) fn config_xml(
    settings: &Settings,
    secrets: &Secrets,
    dir: &Path,
    users: &Path,
) -> String {
    let dir = xml(&dir.display().to_string());
    let users = xml(&users.display().to_string());
    let (gate, port, memory) = (
        &secrets.gate,
        secrets.clickhouse_port,
        settings.memory_bytes_max,
    );
    let mark_cache = memory / 16;
    format!(
        r"<clickhouse>
  <path>{dir}/data/</path>
  <tmp_path>{dir}/tmp/</tmp_path>
  <user_files_path>{dir}/user_files/</user_files_path>
  <listen_host>127.0.0.1</listen_host>
  <http_port>{port}</http_port>
  <users_config>{users}</users_config>
  <logger>
    <level>warning</level>
    <log>{dir}/log/clickhouse.log</log>
    <errorlog>{dir}/log/clickhouse.err.log</errorlog>
    <size>10M</size>
    <count>2</count>
  </logger>
  <max_server_memory_usage>{memory}</max_server_memory_usage>
  <mark_cache_size>{mark_cache}</mark_cache_size>
  <max_concurrent_queries>64</max_concurrent_queries>
  <shutdown_wait_unfinished>1</shutdown_wait_unfinished>
  <access_control_improvements>
    <users_without_row_policies_can_read_rows>false</users_without_row_policies_can_read_rows>
    <on_cluster_queries_require_cluster_grant>true</on_cluster_queries_require_cluster_grant>
    <select_from_system_db_requires_grant>true</select_from_system_db_requires_grant>
    <select_from_information_schema_requires_grant>true</select_from_information_schema_requires_grant>
    <settings_constraints_replace_previous>true</settings_constraints_replace_previous>
    <table_engines_require_grant>false</table_engines_require_grant>
  </access_control_improvements>
  <query_log>
    <database>system</database>
    <table>query_log</table>
    <engine>ENGINE = Memory SETTINGS max_rows_to_keep = 10000</engine>
    <flush_interval_milliseconds>1000</flush_interval_milliseconds>
  </query_log>
  <background_pool_size>4</background_pool_size>
  <background_schedule_pool_size>16</background_schedule_pool_size>
  <background_common_pool_size>2</background_common_pool_size>
  <merge_tree>
    <number_of_free_entries_in_pool_to_lower_max_size_of_merge>4</number_of_free_entries_in_pool_to_lower_max_size_of_merge>
    <number_of_free_entries_in_pool_to_execute_mutation>4</number_of_free_entries_in_pool_to_execute_mutation>
    <number_of_free_entries_in_pool_to_execute_optimize_entire_partition>4</number_of_free_entries_in_pool_to_execute_optimize_entire_partition>
    <fsync_after_insert>1</fsync_after_insert>
    <fsync_part_directory>1</fsync_part_directory>
  </merge_tree>
  <storage_configuration>
    <disks>
      <backups>
        <type>local</type>
        <path>{dir}/backups/</path>
      </backups>
    </disks>
  </storage_configuration>
  <backups>
    <allowed_disk>backups</allowed_disk>
    <allowed_path>{dir}/backups/</allowed_path>
  </backups>
  <http_handlers>
    <rule>
      <methods>GET</methods>
      <url>/ping</url>
      <handler>
        <type>static</type>
        <status>200</status>
        <content_type>text/plain; charset=UTF-8</content_type>
        <response_content>Ok.</response_content>
      </handler>
    </rule>
    <rule>
      <methods>GET</methods>
      <url>/metrics</url>
      <handler>
        <type>prometheus</type>
        <metrics>true</metrics>
        <asynchronous_metrics>true</asynchronous_metrics>
        <events>true</events>
        <errors>true</errors>
      </handler>
    </rule>
    <rule>
      <headers>
        <{GATE_HEADER}>{gate}</{GATE_HEADER}>
      </headers>
      <handler>
        <type>dynamic_query_handler</type>
        <query_param_name>query</query_param_name>
      </handler>
    </rule>
  </http_handlers>
</clickhouse>
"
    )
}

/// Users, profiles, grants, row filters.
pub(crate) fn users_xml(settings: &Settings, secrets: &Secrets) -> Result<String, EngineError> {
    settings.check()?;
    let mut users = String::new();
    for reader in &settings.readers {
        users.push_str(&reader_xml(reader, settings, secrets));
    }
    let app_password = sha256_hex(&secrets.clickhouse_app);
    Ok(format!(
        "<clickhouse>
  <profiles>
    <default></default>
    <app>
      <max_partitions_per_insert_block>1000</max_partitions_per_insert_block>
    </app>
{}  </profiles>
  <quotas>
    <default></default>
    <own_session>
      <interval>
        <duration>3600</duration>
        <queries>2</queries>
      </interval>
    </own_session>
  </quotas>
  <users>
    <default>
      <password></password>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
      <grants>
        <query>GRANT SYSTEM LISTEN ON *.*</query>
        <query>GRANT CREATE TEMPORARY TABLE ON *.*</query>
      </grants>
    </default>
    <{CLICKHOUSE_APP}>
      <password_sha256_hex>{app_password}</password_sha256_hex>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>app</profile>
      <quota>default</quota>
      <grants>
        <query>GRANT ALL ON serving.*</query>
        <query>GRANT ALL ON hostread.*</query>
        <query>GRANT ALL ON internal.*</query>
        <query>GRANT SELECT ON system.*</query>
        <query>GRANT CREATE TEMPORARY TABLE, KILL QUERY, BACKUP, SYSTEM FLUSH LOGS ON *.*</query>
      </grants>
    </{CLICKHOUSE_APP}>
{users}  </users>
</clickhouse>
",
        reader_profile()
    ))
}

/// `readonly 1`: a reader cannot change any setting, so the limits need no constraints of their own.
fn reader_profile() -> String {
    let limits: [(&str, u64); 26] = [
        ("readonly", 1),
        ("allow_ddl", 0),
        ("allow_introspection_functions", 0),
        ("max_execution_time", u64::from(READER_SECONDS_MAX)),
        ("max_memory_usage", READER_MEMORY_BYTES_MAX),
        ("max_memory_usage_for_user", 2 * READER_MEMORY_BYTES_MAX),
        ("max_result_rows", u64::from(READER_ROWS_MAX)),
        ("max_result_bytes", u64::from(READER_BYTES_MAX)),
        ("max_threads", u64::from(READER_THREADS_MAX)),
        (
            "max_concurrent_queries_for_user",
            u64::from(READER_QUERIES_MAX),
        ),
        ("max_query_size", QUERY_BYTES_MAX as u64 + 1024),
        ("max_ast_depth", 500),
        ("max_ast_elements", 20_000),
        ("max_expanded_ast_elements", 100_000),
        ("max_subquery_depth", 50),
        ("max_bytes_before_external_group_by", 0),
        ("max_bytes_before_external_sort", 0),
        ("max_temporary_columns", 2_000),
        ("max_columns_to_read", 1_000),
        ("max_rows_to_read", 1_000_000_000),
        ("cancel_http_readonly_queries_on_client_close", 1),
        ("output_format_write_statistics", 0),
        ("http_headers_progress_interval_ms", 60_000),
        ("send_progress_in_http_headers", 0),
        ("priority", 5),
        ("log_queries", 0),
    ];
    let limits = limits
        .map(|(name, value)| format!("      <{name}>{value}</{name}>\n"))
        .concat();
    format!(
        "    <reader>
{limits}      <timeout_overflow_mode>throw</timeout_overflow_mode>
      <result_overflow_mode>throw</result_overflow_mode>
    </reader>
"
    )
}

fn reader_xml(reader: &Reader, settings: &Settings, secrets: &Secrets) -> String {
    let tenant = &reader.tenant;
    let user = reader_user(tenant);
    let password = sha256_hex(&secrets.reader_password(tenant));
    let each_table = |line: fn(&str, &str) -> String| {
        let lines = settings
            .filtered_tables
            .iter()
            .map(|table| line(table, tenant));
        lines.collect::<Vec<_>>().concat()
    };
    let grants = each_table(|table, _| {
        format!("        <query>GRANT SELECT ON serving.`{table}`</query>\n")
    });
    let filters = each_table(|table, tenant| {
        format!("          <{table}><filter>tenant = '{tenant}'</filter></{table}>\n")
    });
    format!(
        "    <{user}>
      <password_sha256_hex>{password}</password_sha256_hex>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>reader</profile>
      <quota>default</quota>
      <default_database>hostread</default_database>
      <grants>
        <query>GRANT SELECT ON hostread.*</query>
{grants}      </grants>
      <databases>
        <serving>
{filters}        </serving>
      </databases>
    </{user}>
"
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic")]
    use super::*;

    fn settings(tenants: &[&str], tables: &[&str]) -> Settings {
        Settings {
            readers: tenants
                .iter()
                .map(|t| Reader {
                    tenant: (*t).to_owned(),
                })
                .collect(),
            filtered_tables: tables.iter().map(|t| (*t).to_owned()).collect(),
            memory_bytes_max: 1 << 30,
        }
    }

    fn secrets() -> Secrets {
        let dir = tempfile::tempdir().unwrap();
        Secrets::load_or_create(dir.path()).unwrap().0
    }

    #[test]
    fn every_reader_has_a_filter_on_every_table() {
        let text = users_xml(
            &settings(&["a", "b"], &["downloads", "credits"]),
            &secrets(),
        )
        .unwrap();
        for tenant in ["a", "b"] {
            for table in ["downloads", "credits"] {
                let filter = format!("<{table}><filter>tenant = '{tenant}'</filter></{table}>");
                assert_eq!(text.matches(&filter).count(), 1, "{filter}");
            }
        }
        let grants = text.matches("<query>GRANT SELECT ON serving.`").count();
        assert_eq!(grants, 4);
    }

    #[test]
    fn names_that_need_quoting_are_refused() {
        for tenant in ["", "a b", "a'--", "<a>", "ä", &"x".repeat(65)] {
            assert!(
                users_xml(&settings(&[tenant], &[]), &secrets()).is_err(),
                "{tenant}"
            );
        }
        assert!(users_xml(&settings(&["a"], &["x`y"]), &secrets()).is_err());
    }

    #[test]
    fn no_password_is_in_the_users_file() {
        let secrets = secrets();
        let text = users_xml(&settings(&["a"], &[]), &secrets).unwrap();
        assert!(!text.contains(&secrets.clickhouse_app));
        assert!(!text.contains(&secrets.reader_password("a")));
    }

    #[test]
    fn paths_are_escaped() {
        let path = Path::new("/a&b");
        let text = config_xml(&settings(&[], &[]), &secrets(), path, path);
        assert!(text.contains("<path>/a&amp;b/data/</path>"));
    }
}
