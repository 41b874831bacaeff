/** A pull that the daemon's end interrupts: the next one goes on where it was, and nothing half-done is seen meanwhile. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { digestOf } from "../src/base/digest.ts";
import { startDaemon } from "../src/testing/daemon.ts";
import { makeImage } from "../src/testing/image-archives.ts";
import { ScriptedRegistry } from "../src/testing/scripted-registry.ts";

const SIZE = 24 << 20;

for (const signal of ["SIGKILL", "SIGTERM"] as const)
  test(`after ${signal} in the middle of a pull the next one goes on`, async () => {
    await using registry = await ScriptedRegistry.start();
    const image = await makeImage({ layers: ["lower", randomBytes(SIZE / 2).toString("hex")], file: { history: [] } });
    const large = image.layers[1] ?? Buffer.alloc(0);
    registry.addImage("app", "1", image);
    await using daemon = await startDaemon({ image: false });
    registry.intercept = async ({ url, headers }, response) => {
      if (url?.endsWith(digestOf(large)) !== true || headers.range !== undefined) return false;
      response.writeHead(200, { "Content-Length": large.length });
      for (let at = 0; at < large.length && !response.destroyed; at += 1 << 20) {
        response.write(large.subarray(at, at + (1 << 20)));
        await sleep(30);
      }
      return true;
    };
    const pull = () => daemon.call("POST", `/images/create?fromImage=${encodeURIComponent(registry.host)}/app&tag=1`);
    const interrupted = pull().catch((error: Error) => error);
    const ingests = join(daemon.dataRoot, "content", "ingest");
    const kept = () => readdirSync(ingests).map((name) => statSync(join(ingests, name)).size)[0] ?? 0;
    while (kept() < 4 << 20) await sleep(10);
    await daemon.kill(signal);
    await interrupted;
    const before = kept();
    assert.ok(before >= 4 << 20, `${before} bytes were kept`);
    await daemon.start();
    assert.deepEqual(await daemon.call("GET", "/images/json?all=1"), []);
    const told = await pull();
    assert.match(String(told), /Downloaded newer image/);
    const ranges = registry.seen.filter(({ url }) => url.endsWith(digestOf(large))).map(({ headers }) => headers.range);
    assert.equal(ranges.at(-1), `bytes=${before}-`);
    assert.deepEqual(readdirSync(ingests), []);
    assert.equal((await daemon.call<{ Id: string }[]>("GET", "/images/json"))[0]?.Id, image.id);
  });
