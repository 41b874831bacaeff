import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { startRegistry, type TestRegistry } from "../testing/registry.ts";
import { errorCodes } from "../testing/registry-answers.ts";

const quotas = [{ repositories: [/^team\/.*$/], bytes: 10_000 }];
const KB = "x".repeat(1000);

async function upload(registry: TestRegistry, name: string, body: string | ReadableStream): Promise<Response> {
  const started = await registry.fetch("POST", `/v2/${name}/blobs/uploads/`);
  return await registry.fetch("PATCH", started.headers.get("location") ?? "", { body });
}

test("what does not fit a quota is refused with 403 DENIED before it is read, and its upload is gone", async () => {
  await using registry = await startRegistry({ quotas });
  await registry.pushBlob("team/a", KB.repeat(6));
  const answer = await upload(registry, "team/b", KB.repeat(5));
  assert.equal(answer.status, 403);
  assert.deepEqual(await errorCodes(answer), ["DENIED"]);
  assert.deepEqual(readdirSync(`${registry.root}/uploads`), []);
  assert.equal((await upload(registry, "team/b", KB.repeat(3))).status, 202);
  assert.equal((await upload(registry, "free", KB.repeat(50))).status, 202);
});

test("a body of unknown length is refused where the quota ends", async () => {
  await using registry = await startRegistry({ quotas });
  let sent = 0;
  const body = new ReadableStream({
    pull: (stream) => {
      sent += 1;
      stream.enqueue(Buffer.from(KB));
      if (sent === 20) stream.close();
    },
  });
  assert.equal((await upload(registry, "team/a", body)).status, 403);
});

test("uploads that are not finished count", async () => {
  await using registry = await startRegistry({ quotas });
  assert.equal((await upload(registry, "team/a", KB.repeat(6))).status, 202);
  assert.equal((await upload(registry, "team/b", KB.repeat(6))).status, 403);
});

test("mounts and manifests count, a blob once in each repository; deleting gives room", async () => {
  await using registry = await startRegistry({ quotas });
  const { digest } = await registry.pushBlob("team/a", KB.repeat(6));
  const small = await registry.pushBlob("team/a", KB);
  for (let i = 0; i < 5; i++) await registry.pushBlob("team/a", KB);
  const mount = () => registry.fetch("POST", `/v2/team/b/blobs/uploads/?mount=${digest}&from=team/a`);
  assert.equal((await mount()).status, 403);
  const big = { annotations: { big: KB.repeat(5) } };
  await assert.rejects(registry.pushImage("team/a", "v1", "small", big), /403/);
  await registry.fetch("DELETE", `/v2/team/a/blobs/${digest}`);
  await registry.fetch("DELETE", `/v2/team/a/blobs/${small.digest}`);
  await registry.pushImage("team/a", "v1", "small", big);
});

test("each repository may have its own, and what is there at the start counts", async () => {
  await using first = await startRegistry();
  await first.pushBlob("team/a", KB.repeat(6));
  await first.registry[Symbol.asyncDispose]();
  await using registry = await startRegistry({
    root: first.root,
    quotas: [{ repositories: [/^team\/.*$/], bytes: 10_000, each: true }],
  });
  assert.equal((await upload(registry, "team/a", KB.repeat(5))).status, 403);
  assert.equal((await upload(registry, "team/b", KB.repeat(5))).status, 202);
});
