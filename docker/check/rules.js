// What the compose schema does not say: references that exist, pinned versions, health checks, no secrets in the file.
// Pure: a parsed file in, sentences out; an empty list is a good file.

const NEEDED = ["kafka", "registry", "clickhouse", "postgres", "gateway", "pipeline"];
// Three numbers pin a release; two are what PostgreSQL calls one.
const PINNED = /:v?\d+\.\d+(\.\d+)*([.-][\w.-]+)?$/;
const SECRET_NAME = /(PASSWORD|SECRET|KEY|TOKEN|URL_OWNER|URL_SINK)$/;

/** Faults of a compose file. */
export function composeFaults(file) {
  const faults = [];
  const services = file.services ?? {};
  for (const name of NEEDED) {
    if (!services[name]) faults.push(`service ${name} is missing`);
  }
  for (const [name, service] of Object.entries(services)) {
    const say = (fault) => faults.push(`service ${name}: ${fault}`);
    if (!PINNED.test(service.image ?? "")) say(`image "${service.image}" names no version`);
    if (!service.healthcheck?.test) say("no health check");
    if (!(service.volumes ?? []).length && name !== "registry") say("no volume");
    for (const volume of service.volumes ?? []) {
      const source = String(volume).split(":")[0];
      if (!source.startsWith(".") && !(source in (file.volumes ?? {}))) say(`volume ${source} is not declared`);
    }
    for (const secret of service.secrets ?? []) {
      if (!(secret in (file.secrets ?? {}))) say(`secret ${secret} is not declared`);
    }
    for (const [other, { condition }] of Object.entries(service.depends_on ?? {})) {
      if (!services[other]) say(`depends on ${other}, which is not there`);
      else if (condition !== "service_healthy") say(`does not wait until ${other} is healthy`);
    }
    for (const port of service.ports ?? []) {
      if (!String(port).startsWith("127.0.0.1:")) say(`port ${port} is open beyond loopback`);
    }
    for (const [variable, value] of Object.entries(service.environment ?? {})) {
      if (SECRET_NAME.test(variable)) say(`${variable} is a secret: give it through a file`);
      const mounted = /^\/run\/secrets\/(\w+)$/.exec(String(value))?.[1];
      if (mounted && !(service.secrets ?? []).includes(mounted)) say(`${variable} reads a secret that is not mounted`);
    }
    if (service.build && !(service.read_only && service.cap_drop?.includes("ALL"))) say("runs with more rights than it needs");
  }
  for (const [name, secret] of Object.entries(file.secrets ?? {})) {
    if (!secret?.file) faults.push(`secret ${name} comes from no file`);
  }
  return faults;
}

/** Faults of the image's recipe. */
export function dockerfileFaults(text) {
  const faults = [];
  const lines = text.split("\n").filter((line) => !line.startsWith("#"));
  const stages = lines.filter((line) => line.startsWith("FROM "));
  if (stages.length < 2) faults.push("Dockerfile: the build and the run are one stage");
  for (const stage of stages) {
    if (!PINNED.test(stage.split(" ")[1])) faults.push(`Dockerfile: "${stage}" names no version`);
  }
  const last = lines.slice(lines.lastIndexOf(stages.at(-1)));
  const user = last.filter((line) => line.startsWith("USER ")).at(-1)?.slice(5).trim();
  if (!user || /^(root|0)(:|$)/.test(user)) faults.push("Dockerfile: the image runs as root");
  return faults;
}
