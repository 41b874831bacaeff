/** Builds that fail: what they say, what they leave, what can be looked at. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { mountTable } from "../kernel/mounts.ts";
import { build, makeContext } from "../testing/build-harness.ts";
import { payloads, startEngine, type TestEngine } from "../testing/engine-harness.ts";
import { BuildError } from "./errors.ts";

/** Nothing of a step is left: no mount, no container's folder, no ingest. */
function assertClean({ execRoot, dataRoot }: TestEngine): void {
  assert.deepEqual(readdirSync(join(execRoot, "containers")), []);
  assert.deepEqual(readdirSync(join(dataRoot, "containers")), []);
  assert.deepEqual(readdirSync(join(dataRoot, "content/ingest")), []);
  assert.deepEqual(
    mountTable().filter(({ target }) => target.startsWith(join(execRoot, "containers"))),
    [],
  );
}

test("a command's failure has its exit code, the Dockerfile's lines, and a tree that a shell can be opened in", async (t) => {
  const harness = await startEngine(t);
  const { engine } = harness;
  const dockerfile = "FROM busybox\nWORKDIR /w\nRUN echo partly > here && exit 7\nRUN true\n";
  const error: unknown = await build(engine, dockerfile).catch((reason) => reason);
  assert.ok(error instanceof BuildError);
  assert.equal(error.message, "The command '/bin/sh -c echo partly > here && exit 7' returned a non-zero code: 7");
  assert.equal(error.step.exitCode, 7);
  assert.match(error.step.excerpt, /^ {3}3 \| >>> RUN echo partly/m);
  assert.match(error.hint ?? "", /gantry build --debug-shell [0-9a-f]{12}$/);
  assertClean(harness);
  const command = ["sh", "-c", "pwd; cat here; echo err >&2; exit 3"];
  const session = await engine.builder?.shell(error.step.id ?? "", { command, terminal: false });
  assert.ok(session);
  const output = Buffer.concat(await Array.fromAsync(session.output as AsyncIterable<Buffer>));
  assert.deepEqual(
    payloads(output)
      .map(({ text }) => text)
      .join(""),
    "/w\npartly\nerr\n",
  );
  assert.equal(await session.exitCode, 3);
  await build(engine, "FROM busybox\nRUN true\n");
  await assert.rejects(async () => engine.builder?.shell(error.step.id ?? "", { terminal: false }), {
    kind: "not-found",
  });
  assertClean(harness);
});

test("what cannot be started is told as a container's start tells it", async (t) => {
  const { engine } = await startEngine(t);
  const failure = (text: string) => build(engine, `FROM busybox\n${text}\n`).catch((error: BuildError) => error);
  const missing = await failure('RUN ["/no/such"]');
  assert.ok(missing instanceof BuildError);
  assert.match(missing.message, /\/no\/such.*no such file or directory/);
  assert.equal(missing.step.exitCode, 127);
  const user = await failure("USER nobody-here\nRUN true");
  assert.ok(user instanceof BuildError);
  assert.match(user.message, /unable to find user nobody-here/);
});

test("an aborted build ends its steps at once and leaves nothing", async (t) => {
  const harness = await startEngine(t);
  const stop = new AbortController();
  const running = build(harness.engine, "FROM busybox\nRUN sleep 100 & sleep 100\n", { signal: stop.signal });
  setTimeout(() => stop.abort(), 400);
  await assert.rejects(running, { kind: "cancelled" });
  assertClean(harness);
});

test("a failure in one stage ends the others", async (t) => {
  const harness = await startEngine(t);
  const dockerfile =
    "FROM busybox AS a\nRUN sleep 60\nFROM busybox AS b\nRUN sleep 0.3; false\nFROM busybox\nCOPY --from=a / /a\nCOPY --from=b / /b\n";
  await assert.rejects(build(harness.engine, dockerfile), /sleep 0.3; false' returned a non-zero code: 1/);
  assertClean(harness);
});

test("files that are not there, or are none, are errors of their step", async (t) => {
  const { engine } = await startEngine(t);
  const root = makeContext(t, {
    "a/b": "b",
    "a/c": "c",
    out: "-> /etc/passwd",
    up: "-> ../../../../../../etc",
    loop: "-> loop",
  });
  execFileSync("mkfifo", [join(root, "fifo")]);
  const socket = createServer();
  await new Promise<void>((resolve) => socket.listen(join(root, "socket"), resolve));
  t.after(() => socket.close());
  const failure = async (text: string) => {
    const error: unknown = await build(engine, `FROM busybox\n${text}\n`, { context: { root } }).then(
      () => undefined,
      (reason) => reason,
    );
    assert.ok(error instanceof BuildError, text);
    return error.message;
  };
  const absent = /file not found in build context or excluded by .dockerignore: stat .*: file does not exist/;
  for (const path of ["none", "a/none", "a/b/c", "out", "up", "up/passwd", "loop", "../../etc/passwd"])
    assert.match(await failure(`COPY ${path} /x`), absent, path);
  assert.match(await failure("COPY n* /x/"), /no source files were specified/);
  assert.match(await failure("COPY fifo /x"), /cannot copy "fifo" from the build context: it is a fifo/);
  assert.match(await failure("COPY . /x"), /it is a (?:fifo|socket)/);
  assert.match(await failure("COPY socket /x"), /it is a socket/);
  assert.match(await failure("COPY a /etc/passwd"), /cannot copy to non-directory: \/etc\/passwd/);
  assert.match(await failure("COPY a/b /etc/passwd/"), /cannot copy to non-directory: \/etc\/passwd/);
  assert.match(await failure("COPY a/* /bin/sh"), /destination must be a directory/);
  assert.match(await failure("COPY --from=busybox /none /x"), /file not found in/);
  assert.match(await failure("COPY --chown=nobody-here a /x"), /nobody-here/);
});

test("without a context there is nothing to copy", async (t) => {
  const { engine } = await startEngine(t);
  await assert.rejects(build(engine, "FROM busybox\nCOPY a /a\n"), /file not found in build context/);
});

test("more rights than a step usually has must be allowed", async (t) => {
  const { engine } = await startEngine(t);
  const insecure = "FROM busybox\nRUN --security=insecure grep CapEff /proc/self/status\n";
  await assert.rejects(build(engine, insecure), { kind: "forbidden", hint: /--allow security.insecure/ });
  const plain = await build(engine, "FROM busybox\nRUN grep CapEff /proc/self/status\n");
  const allowed = await build(engine, insecure, { entitlements: ["security.insecure"] });
  assert.notEqual(plain.output, allowed.output);
  assert.match(plain.output, /CapEff:\t00000000a80425fb/);
  await assert.rejects(build(engine, "FROM busybox\nRUN --network=host true\n"), { kind: "forbidden" });
});
