//! What the pipeline archived of sealed days, read by another's eyes: ClickHouse reads Parquet itself.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use hostread_disk::RealDisk;
use hostread_schemas::view::View;
use hostread_sink_archive::ArchiveSink;

use super::databases::Databases;

/// Views whose columns in a file have the types of the table's.
const READ_BACK: [View; 3] = [
    View::Downloads,
    View::DownloadsDaily,
    View::AttributionDaily,
];

/// Files by view and name.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// Every Parquet file of an archive; the ledger has epochs in it.
pub(super) fn files(dir: &Path) -> Files {
    let mut files = Files::new();
    for view in std::fs::read_dir(dir).unwrap() {
        for file in std::fs::read_dir(view.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_none_or(|suffix| suffix != "parquet") {
                continue;
            }
            let name = path.strip_prefix(dir).unwrap().display().to_string();
            files.insert(name, std::fs::read(path).unwrap());
        }
    }
    files
}

/// The archived rows are those that readers still see.
pub(super) async fn assert_archived(databases: &Databases, dir: &Path) {
    let archive = ArchiveSink::new(Arc::new(RealDisk), dir);
    for view in READ_BACK {
        let name = view.name();
        let key = format!(
            "SELECT sorting_key FROM system.tables WHERE database = 'serving' AND name = '{name}'"
        );
        let key = databases.ask(&key).await;
        databases
            .ask(&format!(
                "CREATE TABLE serving.archived_{name} AS serving.{name} ENGINE = ReplacingMergeTree ORDER BY ({})",
                key.trim()
            ))
            .await;
        databases
            .ask(&format!(
                "ALTER TABLE serving.archived_{name} ADD COLUMN present Bool"
            ))
            .await;
        // Of several rows of a key the last one put in stays, and the first one archived is what readers know.
        for tick in archive.ticks(view).unwrap().iter().rev() {
            let file = dir.join(name).join(format!("{:020}.parquet", tick.0));
            let insert = format!(
                "INSERT INTO serving.archived_{name} SETTINGS input_format_skip_unknown_fields = 1 FORMAT Parquet"
            );
            databases.put(&insert, &std::fs::read(file).unwrap()).await;
        }
        let rows = format!("SELECT count() FROM serving.archived_{name} FINAL WHERE present");
        assert_ne!(databases.ask(&rows).await.trim(), "0", "no {name} archived");
        let other = databases
            .ask(&format!(
                "SELECT * FROM (SELECT * EXCEPT (version, is_deleted, present) FROM serving.archived_{name} FINAL WHERE present \
                 EXCEPT SELECT * EXCEPT (version, is_deleted) FROM serving.{name} FINAL) LIMIT 5"
            ))
            .await;
        assert_eq!(other, "", "archived {name} that readers do not see");
        databases
            .ask(&format!("DROP TABLE serving.archived_{name}"))
            .await;
    }
}
