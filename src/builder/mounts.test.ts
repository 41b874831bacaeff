/** RUN --mount of every type, by a real engine. */
import assert from "node:assert/strict";
import { closeSync, globSync, openSync } from "node:fs";
import { connect, createServer } from "node:net";
import { basename, dirname, join } from "node:path";
import { test } from "node:test";
import { build, makeContext } from "../testing/build-harness.ts";
import { startEngine } from "../testing/engine-harness.ts";
import type { BuildEvent } from "./builder.ts";

test("a cache mount persists, is in no layer, and is shared by its id", async (t) => {
  const { engine } = await startEngine(t);
  const step = (text: string) => `FROM busybox\nRUN --mount=type=cache,target=/c,id=one ${text}\n`;
  assert.match((await build(engine, step("echo first > /c/f; ls /c"))).output, /^f\n$/);
  assert.match((await build(engine, step("cat /c/f"))).output, /^first\n$/);
  const { output } = await build(
    engine,
    "FROM busybox\nRUN --mount=type=cache,target=/c ls -a /c; echo $(ls / | grep -c c)\n",
  );
  assert.doesNotMatch(output, /\bf\b/);
  const { images } = await build(engine, step("echo again >> /c/f"));
  assert.equal(images[0]?.layers.length, 1);
});

test("locked cache mounts are used by one step at a time, private ones by nobody else", async (t) => {
  const { engine } = await startEngine(t);
  const stage = (sharing: string, name: string) => `FROM busybox AS ${name}
RUN --mount=type=cache,id=${sharing},target=/c,sharing=${sharing} [ ! -e /c/busy ] && touch /c/busy && sleep 0.3 && rm /c/busy && echo ${name} > /ok
`;
  const dockerfile = (sharing: string) => `${["a", "b", "c"].map((name) => stage(sharing, name)).join("")}FROM busybox
COPY --from=a /ok /a
COPY --from=b /ok /b
COPY --from=c /ok /c
`;
  await build(engine, dockerfile("locked"));
  await build(engine, dockerfile("private"));
  await assert.rejects(build(engine, dockerfile("shared")), /returned a non-zero code: 1/);
});

test("files of the context, a stage and an image can be mounted, and writing there is thrown away", async (t) => {
  const { engine } = await startEngine(t);
  const root = makeContext(t, { "in/a": "from context", hidden: "no", ".dockerignore": "hidden" });
  const dockerfile = `FROM busybox AS made
RUN echo from stage > /made
FROM busybox
RUN --mount=type=bind,source=in,target=/ctx --mount=from=made,source=/made,target=/stage cat /ctx/a /stage; ! touch /ctx/x
RUN --mount=type=bind,target=/all,rw ls /all; echo w > /all/in/a; cat /all/in/a
RUN --mount=from=busybox,target=/img ls /img/bin/busybox
`;
  const run = await build(engine, dockerfile, { context: { root, ignore: ["hidden", ".dockerignore"] } });
  assert.match(run.output, /from context/);
  assert.match(run.output, /from stage/);
  assert.match(run.output, /^in$/m);
  assert.doesNotMatch(run.output, /hidden/);
  assert.match(run.output, /^w$/m);
  assert.match(run.output, /\/img\/bin\/busybox/);
  assert.equal(run.images[0]?.layers.length, 1);
});

test("a mounted file decides about the cache by its content", async (t) => {
  const { engine } = await startEngine(t);
  const step = "FROM busybox\nRUN --mount=type=bind,source=a,target=/a cat /a\n";
  const ran = async (files: Record<string, string>) =>
    (await build(engine, step, { context: { root: makeContext(t, files) } })).ran.length;
  assert.deepEqual([await ran({ a: "1" }), await ran({ a: "1", b: "2" }), await ran({ a: "2" })], [1, 0, 1]);
});

test("secrets are there for the step alone, as files and variables, and are no part of its key", async (t) => {
  const { engine } = await startEngine(t);
  const secret = (text: string) => ({ read: async () => Buffer.from(text) });
  const step =
    "FROM busybox\nRUN --mount=type=secret,id=one --mount=type=secret,id=two,env=TWO,required cat /run/secrets/one; echo $TWO; stat -c %a /run/secrets/one\n";
  const first = await build(engine, step, { secrets: { one: secret("111\n"), two: secret("222") } });
  assert.equal(first.output, "111\n222\n400\n");
  assert.deepEqual((await build(engine, step, { secrets: { two: secret("x") } })).ran, []);
  assert.equal(first.images[0]?.layers.length, 1);
  const missing = "FROM busybox\nRUN --mount=type=secret,id=no,required true\n";
  await assert.rejects(build(engine, missing), { message: "secret no: not found", hint: /--secret id=no/ });
  const optional = "FROM busybox\nRUN --mount=type=secret,id=no ls /run/secrets 2>&1 || true\n";
  assert.match((await build(engine, optional)).output, /No such file/);
});

test("an agent's socket is reached through its mount", async (t) => {
  const { engine, execRoot } = await startEngine(t);
  const folder = makeContext(t, {});
  const server = createServer((client) => client.once("data", (data) => client.end(`agent got ${data.toString()}`)));
  await new Promise<void>((resolve) => server.listen(join(folder, "agent"), resolve));
  t.after(() => server.close());
  const source = { connect: async () => connect({ path: join(folder, "agent"), allowHalfOpen: true }) };
  const step = "FROM busybox\nRUN --mount=type=ssh echo $SSH_AUTH_SOCK && test -S $SSH_AUTH_SOCK && sleep 1\n";
  const answers: Promise<string>[] = [];
  const onProgress = (event: BuildEvent) => {
    // busybox cannot connect to a socket: this does it in the step's place, while it waits.
    if (event.type === "log" && answers.length === 0) answers.push(askAgent(execRoot));
  };
  await engine.builder?.build(
    { dockerfile: { text: step, name: "Dockerfile" }, ssh: { default: source } },
    { onProgress },
  );
  assert.deepEqual(await Promise.all(answers), ["agent got hi"]);
});

async function askAgent(execRoot: string): Promise<string> {
  const [path] = globSync(`${execRoot}/containers/*/ssh-*`);
  assert.ok(path);
  const folder = openSync(dirname(path), "r");
  try {
    const client = connect(`/proc/self/fd/${folder}/${basename(path)}`);
    client.end("hi");
    const parts = await Array.fromAsync(client as AsyncIterable<Buffer>);
    return Buffer.concat(parts).toString();
  } finally {
    closeSync(folder);
  }
}

test("memory is mounted, a script runs by its own interpreter, and no mount point is left", async (t) => {
  const { engine } = await startEngine(t);
  const dockerfile = `FROM busybox
RUN --mount=type=tmpfs,target=/mem/a/b df /mem/a/b | tail -1 && echo x > /mem/a/b/x
RUN <<END
#!/bin/busybox sh
echo "script $0"
END
RUN <<END
echo one
echo two
END
RUN ls /
`;
  const run = await build(engine, dockerfile);
  assert.match(run.output, /tmpfs/);
  assert.match(run.output, /script \/dev\/pipes\/END\none\ntwo\n/);
  assert.doesNotMatch(run.output, /^mem$/m);
  assert.equal(run.images[0]?.layers.length, 1);
});
