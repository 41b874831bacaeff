/** The real docker CLI against the API, with a fake engine behind it: what the CLI checks of headers, streams, half-closes and errors. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import type { Duplex } from "node:stream";
import { Readable } from "node:stream";
import { test } from "node:test";
import { EngineError } from "../base/errors.ts";
import type { PreparedAttach } from "../containers/containers.ts";
import { startApi } from "../testing/api-harness.ts";

const skip = spawnSync("docker", ["--version"]).error === undefined ? false : "needs the docker CLI";

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function docker(socket: string, args: readonly string[], input = ""): Promise<Outcome> {
  const child = spawn("docker", ["-H", `unix://${socket}`, ...args], { stdio: ["pipe", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += String(chunk);
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += String(chunk);
  });
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, stdout, stderr })));
}

const frame = (stream: number, text: string): Buffer =>
  Buffer.concat([Buffer.from([stream, 0, 0, 0, 0, 0, 0, text.length]), Buffer.from(text)]);

/** Standard input in capitals on standard output, and its length on standard error at its end. */
const capitals: PreparedAttach = {
  raw: false,
  run: (client: Duplex) =>
    new Promise((resolve) => {
      let size = 0;
      client.on("data", (chunk: Buffer) => {
        size += chunk.length;
        client.write(frame(1, String(chunk).toUpperCase()));
      });
      client.once("end", () => client.write(frame(2, `${size} bytes`), () => resolve()));
      client.once("close", () => resolve());
    }),
};

const running = (Id: string) =>
  ({
    Id,
    Name: `/${Id}`,
    State: { Running: true, Status: "running" },
    Config: { OpenStdin: true, AttachStdin: true },
    HostConfig: {},
  }) as never;

test("exec: both streams, standard input to its end, the exit code", { skip }, async (t) => {
  const { path } = await startApi(t, {
    containers: {
      inspect: (name) => Promise.resolve(running(name)),
      execCreate: () => Promise.resolve("e"),
      execStart: () => Promise.resolve(capitals),
      execInspect: () => ({ ID: "e", Running: false, ExitCode: 3 }) as never,
    },
  });
  assert.deepEqual(await docker(path, ["exec", "-i", "c", "x"], "hello"), {
    code: 3,
    stdout: "HELLO",
    stderr: "5 bytes",
  });
});

test("attach: as exec, and the container's exit code", { skip }, async (t) => {
  const { path } = await startApi(t, {
    containers: {
      inspect: (name) => Promise.resolve(running(name)),
      attach: () => Promise.resolve(capitals),
      wait: () => Promise.resolve({ result: Promise.resolve({ StatusCode: 4, Error: {} }) }),
      resize: () => Promise.resolve(),
    },
  });
  const { code, stdout } = await docker(path, ["attach", "c"], "abc");
  assert.deepEqual([code, stdout], [4, "ABC"]);
});

test("run: create, attach, wait, start, exit code; warnings and missing images are told", { skip }, async (t) => {
  let finish: () => void = () => {};
  const ended = new Promise<{ StatusCode: number; Error: object }>((resolve) => {
    finish = () => resolve({ StatusCode: 5, Error: { Message: "" } });
  });
  const { path } = await startApi(t, {
    images: { pull: () => Promise.reject(new EngineError("unavailable", "no such registry")) },
    containers: {
      create: (_name, { Image }) =>
        Image === "missing"
          ? Promise.reject(new EngineError("not-found", "No such image: missing:latest"))
          : Promise.resolve({ Id: "c", Warnings: ["mind the gap"] }),
      inspect: (name) => Promise.resolve(running(name)),
      attach: () =>
        Promise.resolve({
          ...capitals,
          run: async (client: Duplex) => {
            await ended;
            client.write(frame(1, "out"));
          },
        }),
      wait: () => Promise.resolve({ result: ended }),
      start: () => {
        finish();
        return Promise.resolve();
      },
    },
  });
  const ran = await docker(path, ["run", "present"]);
  assert.deepEqual([ran.code, ran.stdout, ran.stderr.trim()], [5, "out", "WARNING: mind the gap"]);
  const missing = await docker(path, ["run", "missing"]);
  assert.equal(missing.code, 125);
  assert.match(missing.stderr, /Unable to find image 'missing:latest' locally[\s\S]*no such registry/);
});

test("logs, cp, wait, events, stats", { skip }, async (t) => {
  const stat = { name: "f", size: 1, mode: 0o644, mtime: "2026-01-01T00:00:00Z", linkTarget: "" };
  const { path } = await startApi(t, {
    containers: {
      inspect: (name) => Promise.resolve(running(name)),
      logs: () => Promise.resolve({ raw: false, chunks: Readable.from([frame(1, "to out\n"), frame(2, "to err\n")]) }),
      statPath: () => Promise.resolve(stat),
      copyFrom: () => Promise.resolve({ stat, tar: Readable.from([Buffer.alloc(1024)]) }),
      wait: () => Promise.resolve({ result: Promise.resolve({ StatusCode: 6, Error: {} }) }),
    },
    events: {
      async *subscribe() {
        yield {
          Type: "volume",
          Action: "create",
          Actor: { ID: "v", Attributes: {} },
          scope: "local",
          time: 1,
          timeNano: 1_000_000_000,
        };
      },
    },
  });
  assert.deepEqual(await docker(path, ["logs", "c"]), { code: 0, stdout: "to out\n", stderr: "to err\n" });
  assert.equal((await docker(path, ["cp", "c:/f", "-"])).stdout.length, 1024);
  assert.equal((await docker(path, ["wait", "c"])).stdout, "6\n");
  assert.match(
    (await docker(path, ["events", "--until", "2s", "--format", "{{.Type}} {{.Action}} {{.Actor.ID}}"])).stdout,
    /^volume create v\n$/,
  );
});

test("an error's hint is shown to a person", { skip }, async (t) => {
  const { path } = await startApi(t, {
    containers: {
      remove: () => Promise.reject(new EngineError("conflict", "cannot remove", { hint: "Stop it first." })),
    },
  });
  const { code, stderr } = await docker(path, ["rm", "c"]);
  assert.equal(code, 1);
  assert.match(stderr, /^Error response from daemon: cannot remove\nStop it first\.\n$/);
});
