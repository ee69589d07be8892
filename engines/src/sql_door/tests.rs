#![allow(clippy::unwrap_used, reason = "tests panic")]
use super::*;

fn parsed(url_query: &str, body: &str) -> Result<Query, Problem> {
    Parameters::parse(url_query)?.query(body.as_bytes(), "JSON")
}

#[test]
fn the_query_comes_by_url_or_body_but_not_both() {
    assert_eq!(parsed("query=SELECT+1", "").unwrap().text, "SELECT 1");
    assert_eq!(parsed("", "SELECT 1").unwrap().text, "SELECT 1");
    assert_eq!(
        parsed("query=SELECT+1", "SELECT 2").unwrap_err().code(),
        "query_twice"
    );
    assert_eq!(parsed("", " \n").unwrap_err().code(), "query_missing");
}

#[test]
fn only_the_fixed_set_of_parameters_is_forwarded() {
    let query = parsed("default_format=CSV&param_day=2026-01-01&query=SELECT+1", "").unwrap();
    assert_eq!(query.format, "CSV");
    assert_eq!(
        query.values,
        [("param_day".to_owned(), "2026-01-01".to_owned())]
    );
    for refused in [
        "user=default",
        "password=",
        "database=internal",
        "session_id=1",
        "readonly=0",
        "max_execution_time=0",
        "settings=1",
        "param_=1",
        "param_a.b=1",
        "query=a&query=b",
        "param_a=1&param_a=2",
        "query_id=1",
        "role=x",
        "compress=1",
        "QUERY=1",
        "additional_table_filters=x",
        "buffer_size=1",
        "default_format=CSV&default_format=JSON",
    ] {
        assert_eq!(
            parsed(refused, "").unwrap_err().code(),
            "parameter_not_accepted",
            "{refused}"
        );
    }
    let template = parsed("default_format=Template&query=SELECT+1", "");
    assert_eq!(template.unwrap_err().code(), "format_not_offered");
    let in_query = |text: &str| parsed("", text).map(|query| query.format);
    assert_eq!(in_query("SELECT 1 FORMAT CSV").unwrap(), "CSV");
    assert_eq!(
        in_query("SELECT 1 FORMAT Null").unwrap_err().code(),
        "format_not_offered"
    );
    assert_eq!(in_query("SELECT 1").unwrap(), "JSON");
}

#[test]
fn the_format_follows_the_accept_header() {
    let format = |accept: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        default_format(&headers)
    };
    assert_eq!(format("*/*"), "PrettyCompact");
    assert_eq!(format("text/html, application/json;q=0.9"), "JSON");
    assert_eq!(format("text/csv"), "CSVWithNames");
    assert_eq!(default_format(&HeaderMap::new()), "PrettyCompact");
}
