//! `/v1/openapi.json` is what the doors are: every address that can be asked is in it, and each takes what it says.

use std::collections::BTreeSet;
use std::sync::Arc;

use hostread_gateway::{Attribution, LimitsConfig};
use serde_json::Value;

use super::bench::{Answering, Disks, Doors};

const DOCUMENT: &str = include_str!("../../../../connectors/gateway/src/doors/openapi.json");
/// Where the addresses are given to doors.
const ROUTES: &str = include_str!("../../../../connectors/gateway/src/server.rs");

/// Answers anything with nothing.
fn anything() -> Answering {
    Answering {
        explain: Some(Arc::new(|_| Ok("{}".to_owned()))),
        attribution: Some(Attribution {
            models: "{}".to_owned(),
            calculate: Arc::new(|_| Ok("{}".to_owned())),
            validate: Arc::new(|_| Ok("{}".to_owned())),
        }),
        numbers: Some(Arc::new(|_| Box::pin(async { Ok("{}".to_owned()) }))),
    }
}

/// Addresses of the router that answer questions.
fn routes() -> BTreeSet<String> {
    let literals = ROUTES.split(".route(").skip(1);
    let literals = literals.filter_map(|rest| rest.split('"').nth(1));
    let asked = literals
        .filter(|route| route.starts_with("/v1/attribution/") || route.starts_with("/v1/explain/"));
    asked.map(|route| route.replace("{*", "{")).collect()
}

/// The document's addresses, each with its method and what it takes.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, methods): (&String, &Value)| {
        let methods = methods.as_object().unwrap().clone();
        let path = path.clone();
        methods
            .into_iter()
            .map(move |(method, operation)| (path.clone(), method, operation))
    };
    paths.iter().flat_map(of_path).collect()
}

fn example(parameter: &Value) -> String {
    let example = &parameter["example"];
    example
        .as_str()
        .map_or_else(|| example.to_string(), str::to_owned)
}

/// An address with the parameters of its path.
fn filled(path: &str, parameters: &[Value]) -> String {
    let in_path = parameters.iter().filter(|of| of["in"] == "path");
    in_path.fold(path.to_owned(), |path, of| {
        path.replace(
            &format!("{{{}}}", of["name"].as_str().unwrap()),
            &example(of),
        )
    })
}

async fn ask(doors: &Doors, method: &str, address: &str, key: &str) -> (u16, Value) {
    let method = method.to_uppercase().parse().unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client
        .request(method, format!("http://{}{address}", doors.address()))
        .bearer_auth(key)
        .body("{}");
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_is_what_the_doors_are() {
    let doors = Doors::asked(Disks::new(0), LimitsConfig::default(), anything()).await;
    let served = doors.get("/v1/openapi.json").await;
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();
    assert_eq!((served.status, &served.json()), (200, &document));
    let operations = operations(&document);
    let paths: BTreeSet<String> = operations.iter().map(|(path, ..)| path.clone()).collect();
    assert_eq!(paths, routes());
    for (path, method, operation) in operations {
        let parameters = operation["parameters"].as_array();
        let parameters = parameters.cloned().unwrap_or_default();
        let address = filled(&path, &parameters);
        let (status, _) = ask(&doors, &method, &address, "nobody").await;
        assert_eq!(status, 401, "{method} {path}");
        let (status, _) = ask(&doors, "delete", &address, "key-north").await;
        assert_eq!(status, 405, "DELETE {path}");
        let mut in_query = parameters
            .iter()
            .filter(|of| of["in"] == "query")
            .peekable();
        if in_query.peek().is_some() {
            let (status, _) = ask(&doors, &method, &format!("{address}?x=1"), "key-north").await;
            assert_eq!(status, 422, "{method} {path}?x=1");
        }
        let mut all = vec![address.clone()];
        all.extend(in_query.map(|of| {
            let name = of["name"].as_str().unwrap();
            format!("{address}?{name}={}", example(of))
        }));
        for address in all {
            let (status, said) = ask(&doors, &method, &address, "key-north").await;
            assert_eq!(status, 200, "{method} {address}: {said}");
            assert!(operation["responses"]["200"].is_object(), "{path}");
        }
    }
}
