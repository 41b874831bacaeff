/** Who runs in an exec, where, and with what. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { ContainerCreateRequest, ExecCreateRequest } from "../api/types/container.ts";
import { createBusybox, FakeClient, payloads, startEngine } from "../testing/engine-harness.ts";

const PASSWD = `root:x:0:0:root:/root:/bin/sh
ann:x:1000:1000::/home/ann:/bin/sh
bob:x:1001:100::/home/bob:/bin/sh
`;
const GROUP = "root:x:0:\nusers:x:100:ann\nwheel:x:10:ann,bob\nann:x:1000:\nextra:x:500:\n";

/** A container with users of its own, and what a command in it says. */
async function setUp(t: TestContext, request: Partial<ContainerCreateRequest> = {}) {
  const { engine } = await startEngine(t);
  const { containers } = engine;
  const folder = mkdtempSync(join(tmpdir(), "gantry-users-"));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "passwd"), PASSWD);
  writeFileSync(join(folder, "group"), GROUP);
  const Binds = [`${folder}/passwd:/etc/passwd:ro`, `${folder}/group:/etc/group:ro`];
  const id = await createBusybox(engine, ["sleep", "1000"], {
    ...request,
    HostConfig: { ...request.HostConfig, Binds },
  });
  await containers.start(id);
  const run = async (request: ExecCreateRequest): Promise<string> => {
    const execId = await containers.execCreate(id, { AttachStdout: true, AttachStderr: true, ...request });
    const client = new FakeClient();
    await (await containers.execStart(execId, {}))?.run(client.end);
    return payloads(client.received)
      .map(({ text }) => text)
      .join("")
      .trim();
  };
  return { engine, id, run, folder };
}

const WHO = ["sh", "-c", "echo $(id -u):$(id -g) $(id -G) $HOME"];

test("names and groups are the container's own, also from files that are mounted over the image's", async (t) => {
  const { run } = await setUp(t, { HostConfig: { GroupAdd: ["extra", "4242"] } });
  const expected: [user: string, told: string][] = [
    ["ann", "1000:1000 1000 10 100 500 4242 /home/ann"],
    ["bob", "1001:100 100 10 500 4242 /home/bob"],
    ["ann:wheel", "1000:10 10 500 4242 /home/ann"],
    ["1000", "1000:1000 1000 10 100 500 4242 /home/ann"],
    ["ann:77", "1000:77 77 500 4242 /home/ann"],
    ["7:8", "7:8 8 500 4242 /"],
    ["7:users", "7:100 100 500 4242 /"],
    ["root", "0:0 0 500 4242 /root"],
  ];
  for (const [User, told] of expected) assert.equal(await run({ Cmd: WHO, User }), told, User);
  for (const [User, message] of [
    ["carl", "unable to find user carl: no matching entries in passwd file"],
    ["ann:nogroup", "unable to find group nogroup: no matching entries in group file"],
    ["-1", "uids and gids must be in range 0-2147483647"],
  ] as const)
    await assert.rejects(run({ Cmd: WHO, User }), { kind: "invalid", message });
});

test("without a user of its own an exec is the container's, with all its groups", async (t) => {
  const { engine, run } = await setUp(t, { User: "5:6", HostConfig: { GroupAdd: ["9"] } });
  assert.ok(engine);
  assert.equal(await run({ Cmd: WHO }), "5:6 6 9 /");
});

test("environment and folder come from the container, and what is given goes before", async (t) => {
  const { run } = await setUp(t, { Env: ["A=1", "B=2"], WorkingDir: "/etc" });
  const script = ["sh", "-c", 'echo $A $B $C $PWD "<$TERM>"'];
  assert.equal(await run({ Cmd: script }), "1 2 /etc <>");
  assert.equal(await run({ Cmd: script, Env: ["B=3", "C=4"], WorkingDir: "/tmp" }), "1 3 4 /tmp <>");
  await assert.rejects(run({ Cmd: script, WorkingDir: "tmp" }), { kind: "invalid", message: /absolute path/ });
  await assert.rejects(run({ Cmd: script, WorkingDir: "/none" }), /no such file or directory/);
});

test("a privileged exec has every capability that there is to have", async (t) => {
  const { run } = await setUp(t, { HostConfig: { CapDrop: ["ALL"] } });
  const caps = ["grep", "CapEff", "/proc/self/status"];
  assert.match(await run({ Cmd: caps }), /\t0{16}$/);
  assert.doesNotMatch(await run({ Cmd: caps, Privileged: true }), /\t0{16}$/);
});

test("many execs at once do not mix", async (t) => {
  const { run } = await setUp(t);
  const numbers = Array.from({ length: 20 }, (_, i) => i);
  const told = await Promise.all(numbers.map((i) => run({ Cmd: ["sh", "-c", `echo ${i}; sleep 0.1; echo ${i} >&2`] })));
  assert.deepEqual(
    told.map((text) => text.split("\n")),
    numbers.map((i) => [String(i), String(i)]),
  );
});
