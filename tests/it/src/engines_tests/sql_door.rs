//! The attack suite of the SQL door: what a tenant with a valid key, or a stranger, may try.

mod limits;

use std::collections::HashMap;
use std::sync::Arc;

use hostread_engines::sql_door::{
    SqlDoorLimits, TABLE_FUNCTIONS, TABLE_FUNCTIONS_FOR_READERS, TenantOfKey, sql_door,
};
use hostread_engines::{ClickHouseAccess, Engines};
use reqwest::{Client, RequestBuilder, Response, Url};

use super::{ask, run, start, try_ask};

const KEY_A: &str = "key-of-a";
const KEY_B: &str = "key-of-b";
/// What only tenant B may see.
const SECRET_B: &str = "sesame-of-b";
/// What no reader may see.
const SECRET_INTERNAL: &str = "sesame-of-ours";

struct Keys(HashMap<&'static str, &'static str>);

impl TenantOfKey for Keys {
    fn tenant(&self, api_key: &str) -> Option<String> {
        self.0.get(api_key).map(|tenant| (*tenant).to_owned())
    }
}

struct World {
    engines: Engines,
    door: String,
    address: std::net::SocketAddr,
    client: Client,
    dir: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let engines = start(dir.path()).await;
        fill(&engines.clickhouse).await;
        let keys = HashMap::from([(KEY_A, "ten_a"), (KEY_B, "ten_b"), ("key-of-c", "ten_c")]);
        let limits = SqlDoorLimits {
            queries_max: 6,
            tenant_queries_max: 3,
        };
        let router = sql_door(engines.clickhouse.clone(), Arc::new(Keys(keys)), limits).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let door = format!("http://{address}/sql");
        Self {
            engines,
            door,
            address,
            client: Client::new(),
            dir,
        }
    }

    fn post(&self, key: &str, query: &str) -> RequestBuilder {
        self.client
            .post(&self.door)
            .bearer_auth(key)
            .body(query.to_owned())
    }

    /// The same with parameters in the URL.
    fn post_with(&self, key: &str, query: &str, parameters: &[(&str, &str)]) -> RequestBuilder {
        let url = Url::parse_with_params(&self.door, parameters).unwrap();
        self.client
            .post(url)
            .bearer_auth(key)
            .body(query.to_owned())
    }

    async fn ask(&self, key: &str, query: &str) -> (u16, String) {
        read(self.post(key, query).send().await.unwrap()).await
    }

    /// Panics if the text tells what no reader of tenant A may know.
    fn assert_nothing_leaks(&self, query: &str, text: &str) {
        let access = &self.engines.clickhouse;
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        let port = access.url.rsplit(':').next().unwrap();
        let folder = self.dir.path().display().to_string();
        let secrets = [
            ("another tenant's row", SECRET_B),
            ("our own row", SECRET_INTERNAL),
            ("the gate", access.gate_header.1.as_str()),
            ("our password", access.password.as_str()),
            ("the port", port),
            ("the data folder", folder.as_str()),
            ("a user's name", "reader_ten"),
            ("our user's name", "hostread_app"),
            ("the address", "127.0.0.1"),
            ("a version", "(version"),
            ("a password file", "root:x:"),
        ];
        for (what, secret) in secrets {
            // A text that the query itself has is no news to who asked.
            let told = text.contains(secret) && !query.contains(secret);
            assert!(!told, "{what} leaks: {query} -> {text}");
        }
        let host = host.trim();
        assert!(
            host.len() < 4 || !text.contains(host),
            "the host leaks: {query} -> {text}"
        );
    }
}

async fn read(answer: Response) -> (u16, String) {
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// Rows of two tenants side by side in one granule, a view, a table without filter, and ours.
async fn fill(access: &ClickHouseAccess) {
    for statement in [
        "CREATE TABLE serving.downloads (tenant LowCardinality(String), id UInt64, note String, version UInt64) ENGINE = ReplacingMergeTree(version) ORDER BY (tenant, id)",
        "CREATE TABLE serving.credits (tenant LowCardinality(String), id UInt64, note String) ENGINE = MergeTree ORDER BY id",
        "INSERT INTO serving.downloads SELECT if(number % 2 = 0, 'ten_a', 'ten_b'), number, if(number % 2 = 0, '7', 'sesame-of-b'), 1 FROM numbers(2000)",
        "INSERT INTO serving.credits SELECT if(number % 2 = 0, 'ten_a', 'ten_b'), number, if(number % 2 = 0, '7', 'sesame-of-b') FROM numbers(2000)",
        "CREATE VIEW hostread.downloads AS SELECT id, note FROM serving.downloads FINAL",
        "CREATE TABLE internal.progress (note String) ENGINE = MergeTree ORDER BY note",
        "INSERT INTO internal.progress VALUES ('sesame-of-ours')",
        "CREATE TABLE serving.unlisted (tenant String, note String) ENGINE = MergeTree ORDER BY note",
        "INSERT INTO serving.unlisted VALUES ('ten_b', 'sesame-of-b')",
        "CREATE VIEW hostread.mistake AS SELECT * FROM internal.progress",
    ] {
        run(access, statement).await;
    }
}

/// What is refused, whatever it would have said.
const REFUSED: &str = include_str!("refused.sql");
/// What may be answered, with rows of tenant A alone.
const HARMLESS: &str = include_str!("harmless.sql");

fn queries(file: &'static str) -> impl Iterator<Item = &'static str> {
    file.lines()
        .filter(|line| !line.is_empty() && !line.starts_with("-- #"))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_attack_gets_through() {
    let world = World::new().await;
    serves_its_own_rows(&world).await;
    let mut answered = Vec::new();
    for query in queries(REFUSED) {
        let query = query.replace("{DIR}", &world.dir.path().display().to_string());
        let (status, text) = world.ask(KEY_A, &query).await;
        world.assert_nothing_leaks(&query, &text.replace(&query, ""));
        if !(400..500).contains(&status) || !text.contains("\"code\"") {
            answered.push(format!("{status}: {query} -> {text}"));
        }
    }
    assert!(answered.is_empty(), "{}", answered.join("\n"));
    for query in queries(HARMLESS) {
        let (status, text) = world.ask(KEY_A, query).await;
        world.assert_nothing_leaks(query, &text);
        assert!((200..500).contains(&status), "{status}: {query} -> {text}");
    }
    garbled_attacks_leak_nothing(&world).await;
    keys_are_checked_first(&world).await;
    parameters_cannot_carry_settings(&world).await;
    the_first_line_holds_alone(&world).await;
    every_table_function_is_known(&world).await;
    let rows = run(
        &world.engines.clickhouse,
        "SELECT count() FROM serving.downloads",
    )
    .await;
    assert_eq!(rows, "2000\n");
    assert_eq!(world.engines.status().clickhouse.restarts, 0);
    world.engines.stop().await;
}

/// Pieces that two lexers may read in two ways.
const PIECES: [&str; 26] = [
    "/**/", "/*", "*/", "--", "--\n", "#", "\n", "\r", "\u{b}", " ", "'", "''", "\\'", "\\", "\"",
    "`", "``", "$$", "$a$", ";", "(", ")", "{", "}", "\u{a0}", "\u{200b}",
];

/// Attacks with pieces put in at random places: whatever is answered, nothing leaks.
async fn garbled_attacks_leak_nothing(world: &World) {
    let seed = std::env::var("HOSTREAD_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("HOSTREAD_TEST_SEED={seed}");
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut below = |bound: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(state >> 33).unwrap() % bound
    };
    let attacks: Vec<&str> = queries(REFUSED).collect();
    for _ in 0..800 {
        let mut query = attacks[below(attacks.len())].to_owned();
        for _ in 0..=below(3) {
            let at = query.floor_char_boundary(below(query.len() + 1));
            query.insert_str(at, PIECES[below(PIECES.len())]);
        }
        let (status, text) = world.ask(KEY_A, &query).await;
        world.assert_nothing_leaks(&query, &text.replace(&query, ""));
        assert!((200..500).contains(&status), "{status}: {query} -> {text}");
    }
}

async fn serves_its_own_rows(world: &World) {
    for (key, note) in [(KEY_A, "7"), (KEY_B, SECRET_B)] {
        let query = "SELECT count(), uniqExact(note), any(note) FROM downloads FORMAT TabSeparated";
        assert_eq!(
            world.ask(key, query).await,
            (200, format!("1000\t1\t{note}\n"))
        );
    }
    let (_, table) = world.ask(KEY_A, "SELECT 1 AS one").await;
    assert!(table.contains('┌'), "{table}");
    let json = world
        .post(KEY_A, "SELECT 1 AS one")
        .header("Accept", "application/json");
    let answer = json.send().await.unwrap();
    assert_eq!(
        answer.headers()["content-type"],
        "application/json; charset=UTF-8"
    );
    assert!(
        !answer
            .headers()
            .keys()
            .any(|name| name.as_str().starts_with("x-clickhouse"))
    );
    let json: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(json["data"][0]["one"], 1);
    assert_eq!(json["statistics"], serde_json::Value::Null);
    let parameters = [
        ("query", "SELECT note FROM downloads WHERE id = {id:UInt64}"),
        ("param_id", "4"),
        ("default_format", "CSV"),
    ];
    let url = Url::parse_with_params(&world.door, parameters).unwrap();
    let by_url = world.client.get(url).header("X-Api-Key", KEY_A);
    assert_eq!(
        read(by_url.send().await.unwrap()).await,
        (200, "\"7\"\n".to_owned())
    );
    let (status, text) = world.ask(KEY_A, "SELECT nte FROM downloads").await;
    assert!(status == 400 && text.contains("`nte`"), "{text}");
    let (status, text) = world.ask(KEY_A, "SELECT FROM WHERE").await;
    assert!(
        status == 400 && text.contains("failed at position"),
        "{text}"
    );
    let (_, missing) = world.ask(KEY_A, "SELECT * FROM nothing").await;
    let (_, hidden) = world.ask(KEY_A, "SELECT * FROM serving.unlisted").await;
    assert_eq!(
        missing, hidden,
        "a table that is there and one that is not look alike"
    );
}

async fn keys_are_checked_first(world: &World) {
    let request = || world.client.post(&world.door).body("SELECT 1");
    for (what, request) in [
        ("none", request()),
        ("wrong", request().bearer_auth("wrong")),
        ("empty", request().bearer_auth("")),
        ("basic", request().basic_auth(KEY_A, Some(KEY_A))),
        (
            "both",
            request().bearer_auth(KEY_A).header("X-Api-Key", KEY_A),
        ),
        (
            "two",
            request()
                .header("X-Api-Key", KEY_A)
                .header("X-Api-Key", KEY_B),
        ),
        (
            "ClickHouse's",
            request().header("X-ClickHouse-User", "default"),
        ),
        ("a tenant's name", request().bearer_auth("ten_a")),
        (
            "our own",
            request().bearer_auth(&world.engines.clickhouse.password),
        ),
    ] {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 401, "{what}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
    }
    let (status, text) = world.ask("key-of-c", "SELECT 1").await;
    assert!(
        status == 403 && text.contains("tenant_without_reader"),
        "{text}"
    );
    // A caller's own ClickHouse headers go nowhere.
    let (gate, secret) = &world.engines.clickhouse.gate_header;
    let forged = world
        .post(KEY_A, "SELECT currentUser() FORMAT TabSeparated")
        .header(gate, secret)
        .header("X-ClickHouse-User", &world.engines.clickhouse.user)
        .header("X-ClickHouse-Key", &world.engines.clickhouse.password)
        .header("X-ClickHouse-Database", "internal");
    let (status, user) = read(forged.send().await.unwrap()).await;
    assert_eq!((status, user.as_str()), (200, "reader_ten_a\n"));
}

async fn parameters_cannot_carry_settings(world: &World) {
    for (name, value) in [
        ("user", "default"),
        ("password", ""),
        ("database", "internal"),
        ("session_id", "1"),
        ("readonly", "0"),
        ("max_execution_time", "0"),
        ("max_result_rows", "0"),
        ("additional_table_filters", "{'serving.downloads':'1'}"),
        ("row_policy", "off"),
        ("role", "hostread_app"),
        ("query_id", "x"),
        ("compress", "1"),
        ("enable_http_compression", "1"),
        ("http_response_headers", "{'a':'b'}"),
        ("param_x&readonly", "0"),
        ("param_\nx", "0"),
    ] {
        let request = world.post_with(KEY_A, "SELECT 1", &[(name, value)]);
        assert_eq!(read(request.send().await.unwrap()).await.0, 400, "{name}");
    }
    let text = "1&readonly=0' SETTINGS readonly=0 -- ; DROP TABLE serving.downloads";
    let query = "SELECT {x:String} FORMAT TabSeparated";
    let request = world.post_with(KEY_A, query, &[("param_x", text)]);
    let (status, answer) = read(request.send().await.unwrap()).await;
    assert_eq!(
        (status, answer.trim_end()),
        (200, text.replace('\'', "\\'").as_str())
    );
}

/// As the reader's user behind the gate, past the door: grants, row filters and `readonly` alone.
async fn the_first_line_holds_alone(world: &World) {
    let access = &world.engines.clickhouse;
    let (user, password) = access.reader("ten_a");
    for query in [
        "SELECT * FROM serving.downloads WHERE tenant = 'ten_b'",
        "SELECT * FROM serving.downloads PREWHERE tenant = 'ten_b'",
        "SELECT note FROM serving.downloads FINAL WHERE note LIKE 'ses%'",
        "SELECT toInt32(note) FROM serving.downloads FORMAT Null",
        "SELECT max(toInt32(note)) FROM serving.credits PREWHERE toInt32(note) > 0",
        "SELECT throwIf(note LIKE 'ses%', 'sesame-of-b') FROM serving.credits FORMAT Null",
        "SELECT a.note, b.note FROM serving.credits a JOIN serving.downloads b ON a.id = b.id + 1",
        "SELECT * FROM merge('serving', '.*') WHERE note LIKE 'ses%'",
        "SELECT groupUniqArray(note) FROM view(SELECT * FROM serving.credits)",
        "SELECT min(tenant), max(tenant), uniq(tenant) FROM serving.credits",
    ] {
        let (status, text) = ask(access, &user, &password, query).await;
        assert_eq!(status, 200, "{query}: {text}");
        assert!(
            !text.contains("ses") && !text.contains("ten_b"),
            "{query}: {text}"
        );
    }
    for query in [
        "SELECT * FROM hostread.mistake",
        "SELECT * FROM internal.progress",
        "SELECT * FROM serving.unlisted",
        "SELECT * FROM system.parts",
        "SELECT * FROM system.query_log",
        "SELECT * FROM system.users",
        "SELECT * FROM INFORMATION_SCHEMA.tables",
        "SELECT 1 SETTINGS max_threads = 1",
        "SELECT 1 SETTINGS readonly = 2",
        "SELECT note FROM serving.credits SETTINGS additional_table_filters = {'serving.credits': '1'}",
        "SET max_execution_time = 0",
        "INSERT INTO serving.downloads VALUES ('ten_a', 1, 'x', 1)",
        "ALTER TABLE serving.downloads DELETE WHERE 1",
        "DROP TABLE serving.downloads",
        "CREATE TABLE hostread.x (a UInt8) ENGINE = Memory",
        "CREATE TEMPORARY TABLE x (a UInt8)",
        "KILL QUERY WHERE 1",
        "SYSTEM STOP LISTEN HTTP",
        "SYSTEM START LISTEN TCP",
        "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM remote('127.0.0.1', 'serving', 'downloads')",
        "SELECT * FROM postgresql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
        "SELECT * FROM executable('ls', 'CSV', 'a String')",
        "SELECT * FROM eval('SELECT 1')",
        "SELECT getClientHTTPHeader('x-hostread-gate')",
        "BACKUP TABLE serving.downloads TO Disk('backups', 'x')",
        "SELECT count() FROM numbers(200000000000)",
        "SELECT number FROM numbers(200000)",
    ] {
        match try_ask(access, &user, &password, query).await {
            Ok((status, text)) => assert_ne!(status, 200, "{query}: {text}"),
            // Rows may be on their way when a limit is reached: then the answer breaks off.
            Err(error) => assert!(error.is_decode(), "{query}: {error:?}"),
        }
    }
}

/// A new version of the engine cannot bring a table function unseen.
async fn every_table_function_is_known(world: &World) {
    let names = run(
        &world.engines.clickhouse,
        "SELECT lower(name) FROM system.table_functions",
    )
    .await;
    assert!(names.lines().count() > 50);
    for name in names.lines() {
        let for_readers = TABLE_FUNCTIONS_FOR_READERS.contains(&name);
        assert!(
            for_readers || TABLE_FUNCTIONS.contains(&name),
            "new table function {name}"
        );
        let (status, text) = world.ask(KEY_A, &format!("SELECT * FROM {name}(1)")).await;
        assert_eq!(
            text.contains("is not for readers"),
            !for_readers,
            "{status} {name}: {text}"
        );
    }
}
