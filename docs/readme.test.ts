/** The tour of the README, typed line by line into a shell, in its order. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { startDaemon } from "../src/testing/daemon.ts";
import { freePort } from "../src/testing/free-port.ts";

const ROOT = join(import.meta.dirname, "..");
const skip = process.getuid?.() === 0 ? false : "needs root";

test("everything in the tour works as it is written", { skip }, async () => {
  await using daemon = await startDaemon();
  const port = await freePort();
  const page = readFileSync(join(ROOT, "README.md"), "utf8");
  const tour = page.slice(page.indexOf("## A tour"), page.indexOf("## Read on"));
  const blocks = [...tour.matchAll(/^```sh\n(.*?)^```$/gms)].map((match) => match[1] ?? "");
  assert.ok(blocks.length >= 5);
  const bin = join(daemon.folder, "bin");
  mkdirSync(bin);
  symlinkSync(join(ROOT, "bin", "gantry"), join(bin, "gantry"));
  // Port 5000 may be someone's; a server in the background is there a moment later, and ends with the shell.
  const script = blocks
    .join("")
    .replaceAll(":5000", `:${port}`)
    .replace(/serve .* &$/m, (line) => `${line}\nserver=$!; trap 'kill $server; wait $server' EXIT; ${waitFor(port)}`);
  const { status, stdout, stderr } = spawnSync("bash", ["-ec", script], {
    encoding: "utf8",
    cwd: daemon.folder,
    timeout: 120_000,
    env: { PATH: `${bin}:${process.env.PATH}`, HOME: daemon.folder, DOCKER_HOST: daemon.host },
  });
  assert.equal(status, 0, `${stdout}\n${stderr}`);
  assert.match(stdout, /^hello from an image$/m);
});

function waitFor(port: number): string {
  return `for i in $(seq 200); do (echo > /dev/tcp/127.0.0.1/${port}) 2>/dev/null && break; sleep 0.05; done`;
}
