/** Two hundred clients at the same time: every digest is right, those that stall hold nobody up, and memory stays bounded. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { digestOf } from "../src/base/digest.ts";
import { MEDIA } from "../src/oci/media-types.ts";
import type { Descriptor, ImageManifest } from "../src/oci/types.ts";
import { type RegistryProcess, startRegistryProcess } from "./lib/registry-process.ts";

const CLIENTS = 200;
const STALLED = 20;
const LAYER = 400_000;
const PIECE = 150_000;
/** Bytes of the registry for each client, buffers and sockets. */
const MOST_MEMORY = 1 << 20;
/** Each client's layer is a part of it that begins somewhere else. */
const POOL = randomBytes(LAYER + CLIENTS * 64);
const SHARED = randomBytes(200_000);

test(`${CLIENTS} clients push and pull at the same time`, async (t) => {
  const root = mkdtempSync(join(tmpdir(), "gantry-crowd-"));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  await using registry = await startRegistryProcess("--root", root);
  const before = peakMemory(registry);
  const stalled = Array.from({ length: STALLED }, () => stall(registry));
  await Promise.all(stalled.map(({ begun }) => begun));
  const client = new Client(registry);
  const everyone = Array.from({ length: CLIENTS }, (_, at) => at);

  const manifests = await Promise.all(everyone.map((at) => client.push(at)));
  assert.equal(new Set(manifests).size, CLIENTS);
  // Some push again what is there, while all read what somebody else pushed.
  await Promise.all(
    everyone.map(async (at) => {
      const other = (at * 7 + 1) % CLIENTS;
      if (at % 20 === 0) assert.equal(await client.push(at), manifests[at]);
      await client.pull(other, manifests[other] ?? "");
    }),
  );

  const grown = peakMemory(registry) - before;
  if (process.env.VERBOSE) console.log(grown);
  assert.ok(grown < CLIENTS * MOST_MEMORY, `the registry grew by ${grown} bytes`);
  for (const { end } of stalled) end();
});

class Client {
  readonly #base: string;

  constructor({ host }: RegistryProcess) {
    this.#base = `http://${host}`;
  }

  /** The manifest's digest. */
  async push(at: number): Promise<string> {
    const name = `crowd/app${at % 50}`;
    const layers = await Promise.all([this.#blob(name, layerOf(at), at), this.#blob(name, SHARED, at)]);
    const config = { ...(await this.#blob(name, Buffer.from(`{"at":${at}}`), 0)), mediaType: MEDIA.ociConfig };
    const body = JSON.stringify({ schemaVersion: 2, mediaType: MEDIA.ociManifest, config, layers });
    const headers = { "Content-Type": MEDIA.ociManifest };
    const stored = await fetch(this.#url(`/v2/${name}/manifests/t${at}`), { method: "PUT", body, headers });
    assert.equal(stored.status, 201, await stored.text());
    return digestOf(body);
  }

  /** Whole, and byte by byte what was pushed. */
  async pull(at: number, digest: string): Promise<void> {
    const name = `crowd/app${at % 50}`;
    const bytes = await this.#get(`/v2/${name}/manifests/t${at}`);
    assert.equal(digestOf(bytes), digest);
    const { layers } = JSON.parse(bytes.toString()) as ImageManifest;
    for (const layer of layers)
      assert.equal(digestOf(await this.#get(`/v2/${name}/blobs/${layer.digest}`)), layer.digest);
  }

  /** In one piece by the even ones, in several by the odd. */
  async #blob(name: string, data: Buffer<ArrayBuffer>, at: number): Promise<Descriptor> {
    const digest = digestOf(data);
    const started = await fetch(this.#url(`/v2/${name}/blobs/uploads/`), { method: "POST" });
    let location = started.headers.get("location") ?? "";
    await started.arrayBuffer();
    if (at % 2 === 1)
      for (let start = 0; start < data.length; start += PIECE) {
        const body = data.subarray(start, start + PIECE);
        const headers = { "Content-Range": `${start}-${start + body.length - 1}` };
        const sent = await fetch(this.#url(location), { method: "PATCH", body, headers });
        assert.equal(sent.status, 202, await sent.text());
        location = sent.headers.get("location") ?? "";
      }
    const rest = at % 2 === 1 ? {} : { body: data };
    const stored = await fetch(this.#url(`${location}?digest=${digest}`), { method: "PUT", ...rest });
    assert.equal(stored.status, 201, await stored.text());
    return { mediaType: MEDIA.ociLayer, digest, size: data.length };
  }

  async #get(path: string): Promise<Buffer> {
    const answer = await fetch(this.#url(path), { headers: { Accept: MEDIA.ociManifest } });
    const bytes = Buffer.from(await answer.arrayBuffer());
    assert.equal(answer.status, 200, bytes.toString().slice(0, 500));
    return bytes;
  }

  #url(path: string): URL {
    return new URL(path, this.#base);
  }
}

function layerOf(at: number): Buffer<ArrayBuffer> {
  return POOL.subarray(at * 64, at * 64 + LAYER);
}

/** A client that says how much will come, sends a part of it, and no more until its `end`. */
function stall({ host }: RegistryProcess): { begun: Promise<unknown>; end: () => void } {
  const base = `http://${host}`;
  const { promise: begun, resolve, reject } = Promise.withResolvers<void>();
  const opened: { end?: () => void } = {};
  void fetch(`${base}/v2/crowd/stalled/blobs/uploads/`, { method: "POST" }).then((started) => {
    const headers = { "Content-Length": LAYER };
    const sent = request(new URL(started.headers.get("location") ?? "", base), { method: "PATCH", headers });
    sent.on("error", () => {});
    sent.write(POOL.subarray(0, PIECE), () => resolve());
    opened.end = () => sent.destroy();
  }, reject);
  return { begun, end: () => opened.end?.() };
}

/** Bytes. */
function peakMemory({ child }: RegistryProcess): number {
  const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}
