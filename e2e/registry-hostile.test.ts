/** A registry as a process, under clients and a disk that do it wrong: it goes on, and holds what it held before. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { digestOf } from "../src/base/digest.ts";
import { mount, unmountIfMounted } from "../src/kernel/mounts.ts";
import { proportionalMemory } from "../src/testing/daemon.ts";
import { type RegistryProcess, startRegistryProcess } from "./lib/registry-process.ts";

const skip = process.getuid?.() === 0 ? false : "needs root";
const folder = mkdtempSync(join(tmpdir(), "gantry-registry-hostile-"));
const MB = 1 << 20;
const BLOB = randomBytes(16 * MB);
const digest = digestOf(BLOB);

let serving: RegistryProcess;
before(async () => {
  serving = await startRegistryProcess("--root", join(folder, "root"));
  await push("app", BLOB);
});
after(async () => {
  await serving[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const call = (method: string, path: string, init: RequestInit = {}, to = serving) =>
  fetch(new URL(path, `http://${to.host}`), { method, ...init });
async function push(name: string, data: Buffer<ArrayBuffer>, to = serving): Promise<Response> {
  const location = (await call("POST", `/v2/${name}/blobs/uploads/`, {}, to)).headers.get("location") ?? "";
  return await call("PUT", `${location}?digest=${digestOf(data)}`, { body: data }, to);
}
async function pull(): Promise<void> {
  const answer = await call("GET", `/v2/app/blobs/${digest}`);
  assert.equal(digestOf(Buffer.from(await answer.arrayBuffer())), digest);
}

const descriptors = () => readdirSync(`/proc/${serving.child.pid}/fd`).length;
const memory = () => proportionalMemory(serving.child.pid ?? 0) / 1024;
async function until(isSo: () => boolean): Promise<void> {
  for (const end = Date.now() + 30_000; !isSo(); await sleep(50)) assert.ok(Date.now() < end, "waited in vain");
}
/** Resolves when it is connected and the bytes are on their way. */
function raw(bytes: string | Buffer): Promise<Socket> {
  const [host, port] = serving.host.split(":");
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: Number(port) }, () => socket.write(bytes, () => resolve(socket)));
    socket.on("error", reject);
  });
}

test("a full disk refuses what does not fit with 507, keeps nothing of it, and takes what does", {
  skip,
}, async (t) => {
  const disk = join(folder, "disk");
  mkdirSync(disk);
  mount({ source: "tmpfs", target: disk, type: "tmpfs", data: "size=24m" });
  t.after(() => unmountIfMounted(disk, { detach: true }));
  await using small = await startRegistryProcess("--root", disk);
  const answer = await push("app", randomBytes(40 * MB), small);
  assert.equal(answer.status, 507);
  assert.match(await answer.text(), /"UNAVAILABLE".*disk is full/);
  assert.deepEqual(readdirSync(join(disk, "uploads")), []);
  assert.equal((await push("app", randomBytes(12 * MB), small)).status, 201);
  const pushed = await Promise.all(Array.from({ length: 4 }, () => push("app", randomBytes(6 * MB), small)));
  assert.ok(pushed.every(({ status }) => [201, 507].includes(status)) && pushed.some(({ status }) => status === 507));
  assert.deepEqual(readdirSync(join(disk, "uploads")), []);
});

test("clients that never read cost little memory and nobody's time", async () => {
  await pull();
  const before = { descriptors: descriptors(), memory: memory() };
  const asleep = await Promise.all(
    Array.from({ length: 60 }, async () => {
      const socket = await raw(`GET /v2/app/blobs/${digest} HTTP/1.1\r\nHost: x\r\n\r\n`);
      socket.pause();
      return socket;
    }),
  );
  await until(() => descriptors() >= before.descriptors + asleep.length);
  await pull();
  // Each has a megabyte on its way, not the sixteen of the blob.
  assert.ok(memory() - before.memory < 200, `${before.memory} MB, now ${memory()}`);
  for (const socket of asleep) socket.destroy();
  await until(() => descriptors() <= before.descriptors + 2);
});

test("clients that cut off, wherever they are, leave nothing behind", async () => {
  const before = descriptors();
  const open = async () => (await call("POST", "/v2/app/blobs/uploads/")).headers.get("location") ?? "";
  const head = (line: string, length: number) => `${line} HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`;
  for (let round = 0; round < 6; round++) {
    const location = await open();
    const half = randomBytes(2 * MB);
    const texts = [
      "GET /v2/a",
      `GET /v2/app/blobs/${digest} HTTP/1.1\r\nHost: x\r\n\r\n`,
      head(`PATCH ${location}`, 9 * MB),
      Buffer.concat([Buffer.from(head(`PATCH ${location}`, 9 * MB)), half]),
      Buffer.concat([Buffer.from(head(`PUT ${location}?digest=${digest}`, 9 * MB)), half]),
      Buffer.concat([Buffer.from(head(`POST /v2/app/blobs/uploads/?digest=${digest}`, 9 * MB)), half]),
      `${head("PUT /v2/app/manifests/half", 1000)}{"schemaVersion":2`,
    ];
    for (const text of texts) {
      const socket = await raw(text);
      await sleep(round * 5);
      socket.resetAndDestroy();
    }
    await until(() => descriptors() <= before + 3);
    // What came of the upload is kept for who comes back.
    assert.equal((await call("GET", location)).status, 204);
    assert.equal((await call("DELETE", location)).status, 204);
  }
  await until(() => readdirSync(join(folder, "root", "uploads")).length === 0);
  assert.equal((await call("GET", "/v2/app/manifests/half")).status, 404);
  await pull();
});

const CRLF = "\r\n";
for (const [what, bytes] of [
  ["no HTTP", randomBytes(4096)],
  ["a line without end", "GET /".padEnd(200_000, "a")],
  ["headers without end", `GET /v2/ HTTP/1.1${CRLF}Host: x${CRLF}${`A: ${"b".repeat(1000)}${CRLF}`.repeat(200)}`],
  [
    "two lengths",
    `POST /v2/a/blobs/uploads/ HTTP/1.1${CRLF}Host: x${CRLF}Content-Length: 1${CRLF}Content-Length: 2${CRLF}${CRLF}`,
  ],
  [
    "a length and chunks",
    `PUT /v2/a/manifests/b HTTP/1.1${CRLF}Host: x${CRLF}Content-Length: 4${CRLF}Transfer-Encoding: chunked${CRLF}${CRLF}0${CRLF}${CRLF}`,
  ],
  ["a negative length", `PUT /v2/a/manifests/b HTTP/1.1${CRLF}Host: x${CRLF}Content-Length: -1${CRLF}${CRLF}`],
  [
    "chunks that are none",
    `PUT /v2/a/manifests/b HTTP/1.1${CRLF}Host: x${CRLF}Transfer-Encoding: chunked${CRLF}${CRLF}zz${CRLF}`,
  ],
  [
    "a path out of the root",
    `GET /v2/../../../etc/passwd HTTP/1.1${CRLF}Host: x${CRLF}Connection: close${CRLF}${CRLF}`,
  ],
] as const)
  test(`${what} is refused, and the next client served`, async () => {
    const socket = await raw(bytes);
    let text = "";
    socket.on("data", (chunk: Buffer) => {
      text += chunk;
    });
    await new Promise((resolve) => {
      socket.on("close", resolve);
      socket.on("error", resolve);
    });
    assert.match(text, /^(?:HTTP\/1\.1 4\d\d .*)?$/s);
    assert.doesNotMatch(text, /root:/);
    assert.equal((await call("GET", "/v2/")).status, 200);
  });
