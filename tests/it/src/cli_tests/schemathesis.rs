//! Schemathesis asks a running system whatever its OpenAPI document allows, and what it forbids: no answer is one that the
//! document does not have, none is a failure of ours, and nobody is answered without a key.

use std::process::Command;

use super::explain::Demo;

const ASKER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../schemathesis/venv/bin/schemathesis"
);
/// Questions of each kind to each address. Fewer: rarer mistakes are found later.
const QUESTIONS: &str = "50";
/// A document cannot say which cursors there are, or which events: what it allows may still be refused.
const NOT_ASKED: &str = "positive_data_acceptance";

pub(super) fn any_question(demo: &Demo<'_>, seed: &str) {
    let (_, key) = demo.tenants().swap_remove(0);
    let out = Command::new(ASKER)
        .arg("run")
        .arg(format!("{}/v1/openapi.json", demo.gateway))
        .args(["--header", &format!("Authorization: Bearer {key}")])
        .args(["--max-examples", QUESTIONS, "--seed", seed])
        .args(["--exclude-checks", NOT_ASKED, "--no-color"])
        .current_dir(demo.dir)
        .output()
        .unwrap_or_else(|error| panic!("{ASKER}: {error}; tests/schemathesis/setup installs it"));
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "seed {seed}: {said}");
    let document = include_str!("../../../../connectors/gateway/src/doors/openapi.json");
    let document: serde_json::Value = serde_json::from_str(document).unwrap();
    let addresses = document["paths"].as_object().unwrap().len();
    assert!(said.contains(&format!("Tested: {addresses}\n")), "{said}");
}
