import assert from "node:assert/strict";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { startRegistry, type TestRegistry } from "../testing/registry.ts";
import { hashPassword } from "./auth/add-user.ts";

async function figures(registry: TestRegistry): Promise<ReadonlyMap<string, number>> {
  const answer = await registry.fetch("GET", "/metrics");
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
  const lines = (await answer.text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ")))]),
  );
}

test("requests, bytes, collections and uploads are counted", async () => {
  await using registry = await startRegistry();
  await registry.pushImage("a", "v1", "x".repeat(100_000));
  await registry.fetch("GET", "/v2/a/manifests/none");
  await registry.fetch("POST", "/v2/a/blobs/uploads/");
  await registry.pushBlob("a", "12345");
  await registry.registry.collect({ grace: 0 });
  const seen = await figures(registry);
  assert.equal(seen.get('gantry_registry_requests_total{route="manifest",method="PUT",status="201"}'), 1);
  assert.equal(seen.get('gantry_registry_requests_total{route="manifest",method="GET",status="404"}'), 1);
  assert.equal(seen.get('gantry_registry_request_duration_seconds_count{route="manifest"}'), 2);
  assert.equal(seen.get("gantry_registry_uploads_open"), 1);
  assert.equal(seen.get("gantry_registry_requests_in_flight"), 1);
  assert.equal(seen.get("gantry_registry_collected_bytes_total"), 5);
  assert.equal(seen.get('gantry_registry_collected_total{what="blobs"}'), 1);
  assert.ok((seen.get("gantry_registry_received_bytes_total") ?? 0) > 100_000);
  assert.ok((seen.get("process_resident_memory_bytes") ?? 0) > 1e6);
});

test("after a restart gauges tell of what is there, and counters begin anew", async () => {
  const root = mkdtempSync(join(tmpdir(), "gantry-registry-metrics-"));
  try {
    const first = await startRegistry({ root });
    await first.pushImage("a", "v1", "content");
    await first.fetch("POST", "/v2/a/blobs/uploads/");
    await first[Symbol.asyncDispose]();
    await using registry = await startRegistry({ root });
    const seen = await figures(registry);
    assert.equal(seen.get("gantry_registry_uploads_open"), 1);
    assert.equal(seen.get("gantry_registry_requests_in_flight"), 1);
    assert.equal(seen.get('gantry_registry_requests_total{route="manifest",method="PUT",status="201"}'), undefined);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

test("where there are users, they alone read the figures, unless anyone may; health is for everyone", async () => {
  const folder = mkdtempSync(join(tmpdir(), "gantry-registry-metrics-"));
  try {
    const htpasswd = join(folder, "users");
    writeFileSync(htpasswd, await hashPassword("alice", "secret", 4));
    const headers = { Authorization: `Basic ${Buffer.from("alice:secret").toString("base64")}` };
    await using closed = await startRegistry({ auth: { htpasswd } });
    assert.equal((await closed.fetch("GET", "/metrics")).status, 401);
    assert.equal((await closed.fetch("GET", "/metrics", { headers })).status, 200);
    assert.equal((await closed.fetch("GET", "/healthz")).status, 200);
    await using open = await startRegistry({ auth: { htpasswd }, metricsFor: "anyone" });
    assert.equal((await open.fetch("GET", "/metrics")).status, 200);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("a registry whose folder is gone says so", async () => {
  await using registry = await startRegistry();
  const blobs = join(registry.root, "blobs");
  renameSync(blobs, `${blobs}.away`);
  assert.equal((await registry.fetch("GET", "/healthz")).status, 503);
  renameSync(`${blobs}.away`, blobs);
  assert.equal((await registry.fetch("GET", "/healthz")).status, 200);
});
