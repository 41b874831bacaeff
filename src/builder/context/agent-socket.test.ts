import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { duplexPair } from "node:stream";
import { test } from "node:test";
import { EngineError } from "../../base/errors.ts";
import { serveAgent } from "./agent-socket.ts";

test("each connection to the socket is one of the agent's; nobody else may use it; it goes with its connections", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "gantry-agent-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "s");
  let asked = 0;
  const serving = await serveAgent(path, {
    connect: () => {
      if (++asked === 3) throw new EngineError("not-found", "no agent");
      const [near, far] = duplexPair();
      far.on("data", (chunk: Buffer) => far.write(`${asked}:${chunk}`));
      far.on("end", () => far.end());
      return Promise.resolve(near);
    },
  });
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const ask = (text: string) =>
    new Promise<string>((resolve) => {
      let heard = "";
      const socket = connect(path);
      socket.on("data", (chunk: Buffer) => {
        heard += String(chunk);
      });
      socket.on("error", () => {}).on("close", () => resolve(heard));
      socket.end(text);
    });
  assert.equal(await ask("one"), "1:one");
  assert.equal(await ask("two"), "2:two");
  assert.equal(await ask("three"), "");
  const open = connect(path);
  const closed = new Promise((resolve) => open.on("error", () => {}).once("close", resolve));
  await new Promise((resolve) => open.once("connect", resolve));
  await serving[Symbol.asyncDispose]();
  await closed;
  assert.ok(!existsSync(path));
});
