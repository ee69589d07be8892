// Every rule can fail: each change to the good files is refused.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { read, schemaFaults } from "./check.js";
import { composeFaults, dockerfileFaults } from "./rules.js";

const ROOT = new URL("../../", import.meta.url);
const good = () => read(new URL("docker-compose.yml", ROOT));
const dockerfile = readFileSync(new URL("Dockerfile", ROOT), "utf8");

test("the files in the repository are good", () => {
  assert.deepEqual([...schemaFaults(good()), ...composeFaults(good()), ...dockerfileFaults(dockerfile)], []);
});

const bySchema = {
  "a service key that does not exist": (file) => (file.services.kafka.helthcheck = {}),
  "ports that are no list": (file) => (file.services.gateway.ports = "8080"),
  "retries that are no number": (file) => (file.services.kafka.healthcheck.retries = { many: true }),
};
for (const [name, change] of Object.entries(bySchema)) {
  test(`the schema refuses ${name}`, () => {
    const file = good();
    change(file);
    assert.notDeepEqual(schemaFaults(file), []);
  });
}

const byRules = {
  "a missing service": (file) => delete file.services.registry,
  "an image without a version": (file) => (file.services.kafka.image = "apache/kafka:latest"),
  "a service without a health check": (file) => delete file.services.gateway.healthcheck,
  "a service that keeps nothing": (file) => delete file.services.kafka.volumes,
  "an undeclared volume": (file) => delete file.volumes["kafka-data"],
  "an undeclared secret": (file) => delete file.secrets.tenants,
  "an unknown dependency": (file) => (file.services.gateway.depends_on.zookeeper = { condition: "service_healthy" }),
  "a start before the parts are healthy": (file) => (file.services.gateway.depends_on.kafka.condition = "service_started"),
  "a port open to the world": (file) => (file.services.postgres.ports = ["5432:5432"]),
  "a password in the file": (file) => (file.services.clickhouse.environment.CLICKHOUSE_PASSWORD = "x"),
  "a secret that is read and not mounted": (file) => (file.services.gateway.secrets = ["tenants"]),
  "an image of ours with all rights": (file) => delete file.services.pipeline.cap_drop,
  "a secret that is not a file": (file) => (file.secrets.id_key = { environment: "ID_KEY" }),
};
for (const [name, change] of Object.entries(byRules)) {
  test(`the rules refuse ${name}`, () => {
    const file = good();
    change(file);
    assert.notDeepEqual(composeFaults(file), []);
  });
}

for (const [name, text] of Object.entries({
  "one stage": dockerfile.replace(/FROM rust.*\n/, ""),
  "a floating base": dockerfile.replace(/debian:\S+/, "debian:latest"),
  "a run as root": dockerfile.replace(/USER .*/, "USER root"),
})) {
  test(`the rules refuse a Dockerfile with ${name}`, () => assert.notDeepEqual(dockerfileFaults(text), []));
}
