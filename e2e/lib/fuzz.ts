/**
 * Requests made from the route table: every route, with values that fit, values that nearly fit and values that do not, whole and cut off. They are
 * made from a seed, so that a run can be repeated. Nothing in them reaches beyond the daemon that they are sent to: no mounts of the
 * machine, no privileges, no addresses but loopback.
 */
import { connect } from "node:net";
import { routes } from "../../src/api/routes/table.ts";

export interface FuzzResult {
  readonly requests: number;
  /** By status; "cut": broken off by us; "none": the connection ended without an answer. */
  readonly statuses: Readonly<Record<string, number>>;
  /** Requests that were answered with 500: each is a bug or an error without a kind. */
  readonly internal: readonly string[];
}

export interface FuzzOptions {
  readonly socket: string;
  readonly seed: number;
  readonly requests: number;
  readonly parallel: number;
  /** Names and ids that exist, among others. */
  readonly names: readonly string[];
  readonly signal?: AbortSignal;
}

export async function fuzz({ socket, seed, requests, parallel, names, signal }: FuzzOptions): Promise<FuzzResult> {
  const statuses: Record<string, number> = {};
  const internal: string[] = [];
  const random = generator(seed);
  let left = requests;
  const worker = async () => {
    while (left-- > 0 && !signal?.aborted) {
      const { head, body, cut } = makeRequest(random, names);
      const { status, text } = await send(socket, head, body, cut);
      statuses[status] = (statuses[status] ?? 0) + 1;
      if (status === "500")
        internal.push(`${head.split("\r\n", 1)[0]} ${body.toString("latin1").slice(0, 300)} → ${text.slice(-300)}`);
    }
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  return { requests: requests - Math.max(0, left), statuses, internal };
}

type Random = () => number;

/** mulberry32 */
function generator(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const pick = <T>(random: Random, values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;

const TEXTS = [
  "",
  "0",
  "1",
  "-1",
  "true",
  "false",
  "busybox",
  "nothing",
  "a/b",
  "..",
  "%00",
  "é",
  "x".repeat(300),
  "{}",
  "[]",
  "null",
  "1e309",
];
const FILTERS = [
  '{"label":["a"]}',
  '{"status":["running"]}',
  '{"name":{"x":true}}',
  "{",
  '{"nope":["x"]}',
  '{"until":["1h"]}',
  "[]",
];

/** Never waits for long, whoever asks. */
const HARMLESS = { Cmd: ["true"], HostConfig: { NetworkMode: "none" } };

function makeRequest(random: Random, names: readonly string[]) {
  const route = pick(random, routes);
  const path = route.path.replaceAll(/\{[^}]+\}/g, () =>
    encodeURIComponent(pick(random, [...names, ...names, ...TEXTS]) || "x"),
  );
  const query = Object.keys(route.query)
    .filter(() => random() < 0.4)
    .map((name) => `${name}=${encodeURIComponent(valueFor(random, name))}`);
  const version = pick(random, ["", "/v1.51", "/v1.51", "/v1.24", "/v1.41", "/v9.9", "/v1"]);
  const body = route.method === "GET" || route.method === "HEAD" ? Buffer.alloc(0) : makeBody(random, names);
  const type = pick(random, [
    "application/json",
    "application/json",
    "application/json",
    "application/x-tar",
    "text/plain",
    "",
  ]);
  const lines = [
    `${route.method} ${version}${path}${query.length === 0 ? "" : `?${query.join("&")}`} HTTP/1.1`,
    "Host: fuzz",
    ...(type === "" ? [] : [`Content-Type: ${type}`]),
    ...(route.takesOver === undefined || random() < 0.5 ? [] : ["Connection: Upgrade", "Upgrade: tcp"]),
    ...(route.takesOver === undefined ? ["Connection: close"] : []),
    `Content-Length: ${body.length}`,
  ];
  const cut = random() < 0.1 ? Math.floor(random() * (lines.join("\r\n").length + body.length)) : undefined;
  return { head: `${lines.join("\r\n")}\r\n\r\n`, body, cut };
}

function valueFor(random: Random, name: string): string {
  if (name === "filters") return pick(random, FILTERS);
  // What would last is asked for now and then only.
  if (["follow", "stream", "wait"].includes(name)) return random() < 0.05 ? "1" : "0";
  if (name === "remote" || name === "fromSrc") return pick(random, ["", "-", "http://127.0.0.1:1/x", "nope"]);
  if (name === "fromImage" || name === "repo") return pick(random, ["", "127.0.0.1:1/x", "A", "busybox:"]);
  return pick(random, TEXTS);
}

function makeBody(random: Random, names: readonly string[]): Buffer {
  const kind = random();
  if (kind < 0.15) return Buffer.alloc(0);
  if (kind < 0.25)
    return Buffer.from(Array.from({ length: Math.floor(random() * 2000) }, () => Math.floor(random() * 256)));
  const value = object(random, names, 0);
  const text = JSON.stringify(random() < 0.3 ? { Image: "busybox", ...HARMLESS, ...value, ...HARMLESS } : value);
  return Buffer.from(kind < 0.32 ? text.slice(0, Math.floor(text.length * random())) : text);
}

const FIELDS = [
  ...[
    "Image",
    "Name",
    "Cmd",
    "Env",
    "Labels",
    "Tty",
    "User",
    "WorkingDir",
    "Entrypoint",
    "ExposedPorts",
    "Healthcheck",
    "StopSignal",
    "StopTimeout",
  ],
  ...[
    "HostConfig",
    "Memory",
    "NanoCpus",
    "CpuShares",
    "PidsLimit",
    "RestartPolicy",
    "Ulimits",
    "CapAdd",
    "CapDrop",
    "Sysctls",
    "ShmSize",
    "SecurityOpt",
  ],
  ...[
    "Driver",
    "DriverOpts",
    "Container",
    "Force",
    "EndpointConfig",
    "Detach",
    "AttachStdout",
    "Privileged_",
    "Container",
    "username",
    "serveraddress",
  ],
];

function object(random: Random, names: readonly string[], depth: number): Record<string, unknown> {
  const count = Math.floor(random() * 6);
  return Object.fromEntries(
    Array.from({ length: count }, () => [pick(random, FIELDS), anything(random, names, depth + 1)]),
  );
}

function anything(random: Random, names: readonly string[], depth: number): unknown {
  switch (Math.floor(random() * (depth > 3 ? 5 : 7))) {
    case 0:
      return pick(random, [0, 1, -1, 1.5, 2 ** 53, 64 << 20, 1e308]);
    case 1:
      return pick(random, [true, false, null]);
    case 2:
      return pick(random, names);
    case 3:
    case 4:
      return pick(random, TEXTS);
    case 5:
      return Array.from({ length: Math.floor(random() * 4) }, () => anything(random, names, depth + 1));
    default:
      return object(random, names, depth + 1);
  }
}

/** Milliseconds that an answer may take to end by itself: streams that go on are left then. */
const PATIENCE = 1500;

function send(
  path: string,
  head: string,
  body: Buffer,
  cut: number | undefined,
): Promise<{ status: string; text: string }> {
  return new Promise((resolve) => {
    const socket = connect(path);
    let text = "";
    const done = (status: string) => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ status, text });
    };
    const answered = () => /^HTTP\/1\.1 (\d{3})/.exec(text)?.[1];
    const timer = setTimeout(() => done(answered() ?? "slow"), PATIENCE);
    socket.on("error", () => done(answered() ?? "none"));
    socket.on("close", () => done(answered() ?? "none"));
    socket.on("data", (chunk: Buffer) => {
      if (text.length < 4096) text += chunk.toString("latin1");
    });
    socket.on("connect", () => {
      const whole = Buffer.concat([Buffer.from(head, "latin1"), body]);
      if (cut === undefined) socket.write(whole);
      else socket.write(whole.subarray(0, cut), () => setTimeout(() => done("cut"), 2));
    });
  });
}

export const ROUTES = routes.length;
