//! Names that a reader's query may not use, in lower case.
//! `tests/it` compares [`TABLE_FUNCTIONS`] and [`TABLE_FUNCTIONS_FOR_READERS`] with what the pinned engine has, so that
//! a new version cannot bring one unseen.

/// Words that stand for something readers have no use for, wherever they stand outside a string.
const WORDS: [&str; 26] = [
    "alter",
    "attach",
    "backup",
    "create",
    "delete",
    "detach",
    "drop",
    "exchange",
    "explain",
    "grant",
    "identifier",
    "information_schema",
    "insert",
    "internal",
    "into",
    "kill",
    "optimize",
    "outfile",
    "rename",
    "restore",
    "revoke",
    "settings",
    "system",
    "truncate",
    "undrop",
    "update",
];

/// Beginnings of virtual columns, which count or place rows of the whole table.
const COLUMN_BEGINNINGS: [&str; 8] = [
    "_part",
    "_block_",
    "_disk_name",
    "_row_exists",
    "_table",
    "_database",
    "_sample_",
    "_distance",
];

/// Table functions that only make or reshape rows.
pub const TABLE_FUNCTIONS_FOR_READERS: [&str; 15] = [
    "format",
    "fuzzjson",
    "fuzzquery",
    "generate_series",
    "generaterandom",
    "generateseries",
    "null",
    "numbers",
    "numbers_mt",
    "primes",
    "sqlstandardvalues",
    "values",
    "view",
    "zeros",
    "zeros_mt",
];

/// Table functions that read elsewhere, or read a table past its row filter.
pub const TABLE_FUNCTIONS: [&str; 74] = [
    "azureblobstorage",
    "azureblobstoragecluster",
    "cluster",
    "clusterallreplicas",
    "cosn",
    "deltalake",
    "deltalakeazure",
    "deltalakeazurecluster",
    "deltalakecluster",
    "deltalakelocal",
    "deltalakes3",
    "deltalakes3cluster",
    "dictionary",
    "eval",
    "executable",
    "file",
    "filecluster",
    "filesystem",
    "gcs",
    "hdfs",
    "hdfscluster",
    "hudi",
    "hudicluster",
    "iceberg",
    "icebergazure",
    "icebergazurecluster",
    "icebergcluster",
    "iceberghdfs",
    "iceberghdfscluster",
    "iceberglocal",
    "iceberglocalcluster",
    "icebergs3",
    "icebergs3cluster",
    "input",
    "jdbc",
    "loop",
    "merge",
    "mergetreeanalyzeindexes",
    "mergetreeanalyzeindexesuuid",
    "mergetreeindex",
    "mergetreeprojection",
    "mergetreetextindex",
    "mongodb",
    "mysql",
    "odbc",
    "oss",
    "paimon",
    "paimonazure",
    "paimonazurecluster",
    "paimoncluster",
    "paimonhdfs",
    "paimonhdfscluster",
    "paimonlocal",
    "paimons3",
    "paimons3cluster",
    "postgresql",
    "prometheusquery",
    "prometheusqueryrange",
    "redis",
    "remote",
    "remotesecure",
    "s3",
    "s3cluster",
    "sqlite",
    "timeseriesdata",
    "timeseriesmetrics",
    "timeseriessamples",
    "timeseriesselector",
    "timeseriestags",
    "url",
    "urlcluster",
    "viewexplain",
    "viewifpermitted",
    "ytsaurus",
];

/// Functions that read outside the tables, write to the log, wait, or tell about the machine.
const FUNCTIONS: [&str; 39] = [
    "aiclassify",
    "aiembed",
    "aiextract",
    "aigenerate",
    "aitranslate",
    "buildid",
    "catboostevaluate",
    "demangle",
    "displayname",
    "evalmlmethod",
    "filesystemavailable",
    "filesystemcapacity",
    "filesystemunreserved",
    "fqdn",
    "generateserialid",
    "getclienthttpheader",
    "getmacro",
    "getmaxtablenamelengthfordatabase",
    "getmergetreesetting",
    "getoskernelversion",
    "getserverport",
    "getserversetting",
    "getsetting",
    "getsettingordefault",
    "globalvariable",
    "hascolumnintable",
    "hostname",
    "joinget",
    "joingetornull",
    "logtrace",
    "partitionid",
    "python",
    "serveruuid",
    "shardnum",
    "showcertificate",
    "sleep",
    "sleepeachrow",
    "tcpport",
    "uptime",
];

/// Beginnings of functions of the same kinds.
const FUNCTION_BEGINNINGS: [&str; 8] = [
    "__",
    "addressto",
    "dictget",
    "dicthas",
    "dictis",
    "region",
    "transaction",
    "zookeeper",
];

fn begins(name: &str, beginnings: &[&str]) -> bool {
    beginnings
        .iter()
        .any(|beginning| name.starts_with(beginning))
}

pub(super) fn word_refused(word: &str) -> bool {
    WORDS.contains(&word) || begins(word, &COLUMN_BEGINNINGS)
}

pub(super) fn function_refused(name: &str) -> bool {
    FUNCTIONS.contains(&name)
        || TABLE_FUNCTIONS.contains(&name)
        || begins(name, &FUNCTION_BEGINNINGS)
}
