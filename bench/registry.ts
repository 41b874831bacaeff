/**
 * How fast the registry sends and takes blobs, beside nginx (sendfile; DAV) on the same disk, with curl as the client of both. Rounds
 * alternate. nginx neither hashes nor puts anything on the disk. Needs nginx with its DAV module (Debian: nginx-light) and curl.
 */
import { execFile, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { startRegistryProcess } from "../e2e/lib/registry-process.ts";
import { type Figure, median, printFigures } from "./lib/table.ts";

const MB = 1 << 20;
const LARGE = 50;
const SMALL = 1;
const CLIENTS = 200;
const ROUNDS = 3;
const NGINX_PORT = 5898;

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), "gantry-bench-registry-"));
const curl = (...args: string[]) => run("curl", ["-s", "-f", "-o", "/dev/null", ...args], { maxBuffer: MB });

interface Side {
  readonly get: (name: string) => string;
  readonly put: (name: string, round: string) => Promise<void>;
}

async function startNginx(): Promise<() => Promise<void>> {
  for (const name of ["www", "tmp"]) mkdirSync(join(folder, name), { mode: 0o777 });
  for (const name of [".", "www", "tmp"]) chmodSync(join(folder, name), 0o777);
  const server = `listen 127.0.0.1:${NGINX_PORT}; root ${folder}/www; location / { dav_methods PUT DELETE; }`;
  const http = `access_log off; sendfile on; client_max_body_size 0; client_body_temp_path ${folder}/tmp; server { ${server} }`;
  const main = `daemon off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/log; events { worker_connections 1024; }`;
  writeFileSync(join(folder, "nginx.conf"), `${main} http { ${http} }`);
  const child = spawn("nginx", ["-c", join(folder, "nginx.conf")], { stdio: "ignore" });
  await sleep(500);
  return async () => {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    if (child.kill()) await ended;
  };
}

/** Megabytes a second, both sides in turn. */
async function compare(
  what: string,
  megabytes: number,
  task: (side: Side, round: number) => Promise<unknown>,
): Promise<Figure> {
  const speeds: Record<"gantry" | "nginx", number[]> = { gantry: [], nginx: [] };
  for (let round = -1; round < ROUNDS; round++)
    for (const which of ["gantry", "nginx"] as const) {
      const start = performance.now();
      await task(sides[which], round);
      if (round >= 0) speeds[which].push(megabytes / ((performance.now() - start) / 1000));
    }
  return {
    what,
    value: median(speeds.gantry),
    unit: "MB/s",
    floor: { what: "nginx", value: median(speeds.nginx) },
    least: 0.5,
  };
}

const files = new Map<string, string>();
for (const [name, size] of [
  ["large", LARGE],
  ["small", SMALL],
] as const) {
  const data = randomBytes(size * MB);
  writeFileSync(join(folder, name), data);
  files.set(name, `sha256:${createHash("sha256").update(data).digest("hex")}`);
}
const stopNginx = await startNginx();
await using registry = await startRegistryProcess("--root", join(folder, "root"));
const base = `http://${registry.host}`;
const sides: Record<"gantry" | "nginx", Side> = {
  gantry: {
    get: (name) => `${base}/v2/seed/blobs/${files.get(name)}`,
    put: async (name, round) => {
      const started = await fetch(`${base}/v2/${round}/blobs/uploads/`, { method: "POST" });
      await curl("-T", join(folder, name), `${base}${started.headers.get("location")}?digest=${files.get(name)}`);
    },
  },
  nginx: {
    get: (name) => `http://127.0.0.1:${NGINX_PORT}/seed-${name}`,
    put: async (name, round) =>
      void (await curl("-T", join(folder, name), `http://127.0.0.1:${NGINX_PORT}/${round}-${name}`)),
  },
};
try {
  for (const side of Object.values(sides)) for (const name of files.keys()) await side.put(name, "seed");
  const crowd = (side: Side) =>
    curl("-Z", "--parallel-immediate", "--parallel-max", String(CLIENTS), `${side.get("small")}?[1-${CLIENTS}]`);
  printFigures([
    await compare(`send ${LARGE} MB to one client`, LARGE, (side) => curl(side.get("large"))),
    await compare(`send ${SMALL} MB to each of ${CLIENTS} clients`, SMALL * CLIENTS, crowd),
    await compare(`take ${LARGE} MB from one client`, LARGE, (side, round) => side.put("large", `take${round + 1}`)),
    await compare(`take ${SMALL} MB from ${CLIENTS} clients`, SMALL * CLIENTS, (side, round) =>
      Promise.all(Array.from({ length: CLIENTS }, (_, i) => side.put("small", `crowd${round + 1}-${i}`))),
    ),
  ]);
} finally {
  await stopNginx();
  await registry.end();
  rmSync(folder, { recursive: true, force: true });
}
