/** What clients ask of registries beside images: search, what a name stands for, whether a password holds; by CLI and by bare requests. */
import assert from "node:assert/strict";
import { request } from "node:http";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { type DebianRegistry, startDebianRegistry } from "../src/testing/debian-registry.ts";
import { Cli, type CliName, missing } from "./lib/cli.ts";

/** ann, secret. */
const HTPASSWD = "ann:$2y$04$p4LoeaVBHdJ0GoCFUEAaiOLCIITBRxjSVFI43QFbAbGcH76kFf0cy\n";
const ANN = { username: "ann", password: "secret" };

let daemon: TestDaemon;
let open: DebianRegistry;
let closed: DebianRegistry;

before(async () => {
  open = await startDebianRegistry();
  closed = await startDebianRegistry({ htpasswd: HTPASSWD });
  daemon = await startDaemon();
  for (const host of [open.host, closed.host])
    for (const path of ["team/box", "team/other"]) {
      await daemon.call("POST", `/images/busybox/tag?repo=${host}/${path}&tag=1`);
      const pushed = await ask("POST", `/images/${host}/${path}/push?tag=1`, { auth: encoded(ANN) });
      assert.match(pushed.text, /digest: sha256:/);
    }
});
after(async () => {
  for (const one of [daemon, closed, open]) await one?.[Symbol.asyncDispose]();
});

for (const name of ["docker", "gantry"] satisfies CliName[])
  test(`${name} search finds repositories by a word of their name`, { skip: missing(name) }, async () => {
    const cli = new Cli(name, daemon);
    const found = await cli.ok("search", "--format", "{{.Name}}", `${open.host}/box`);
    assert.deepEqual(found.split("\n"), [`${open.host}/team/box`]);
    const both = await cli.ok("search", "--limit", "1", "--format", "{{.Name}}", `${open.host}/team`);
    assert.equal(both.split("\n").length, 1);
    assert.match(await cli.ok("search", `${open.host}/nothing-like-it`), /^NAME +DESCRIPTION +STARS +OFFICIAL$/);
    assert.match(
      (await cli.run("search", "--limit", "101", open.host)).err,
      /limit 101 is outside the range of \[1, 100\]/,
    );
  });

describe("credentials of a request", () => {
  const image = () => `${closed.host}/team/box`;
  const described = (auth?: string) => ask("GET", `/distribution/${image()}:1/json`, { auth });

  test("what a name stands for is told to who may know it", async () => {
    const { status, text } = await described(encoded(ANN));
    assert.equal(status, 200, text);
    const { Descriptor, Platforms } = JSON.parse(text);
    assert.match(Descriptor.digest, /^sha256:[0-9a-f]{64}$/);
    assert.deepEqual(Object.keys(Platforms[0]).sort().slice(0, 2), ["architecture", "os"]);
    const byDigest = await ask("GET", `/distribution/${image()}@${Descriptor.digest}/json`, { auth: encoded(ANN) });
    assert.deepEqual(JSON.parse(byDigest.text).Descriptor, Descriptor);
  });

  test("the header is read in each of its forms", async () => {
    const text = JSON.stringify({ ...ANN, serveraddress: closed.host, email: "~?~?" });
    const forms = [
      Buffer.from(text).toString("base64"),
      Buffer.from(text).toString("base64url"),
      encoded({ auth: Buffer.from("ann:secret").toString("base64") }),
    ];
    for (const form of forms) assert.equal((await described(form)).status, 200);
  });

  test("none, wrong ones, and nonsense are refused, and change nothing", async () => {
    for (const auth of [undefined, encoded({ ...ANN, password: "wrong" }), "%%%", encoded([]), encoded("x")]) {
      const { status, text } = await described(auth);
      assert.ok([401, 403].includes(status), `${auth}: ${status} ${text}`);
      assert.match(JSON.parse(text).message, /unauthorized|denied/);
      const pulled = await ask("POST", `/images/create?fromImage=${encodeURIComponent(image())}&tag=1`, { auth });
      assert.match(pulled.text, /unauthorized|denied/);
    }
    assert.equal((await described(encoded(ANN))).status, 200);
  });

  test("what is not there is not found", async () => {
    const { status, text } = await ask("GET", `/distribution/${open.host}/team/none:1/json`);
    assert.ok([403, 404].includes(status), `${status} ${text}`);
    assert.equal((await ask("GET", `/distribution/${encodeURIComponent("UPPER CASE")}/json`)).status, 400);
  });

  test("/auth says whether a registry takes a password", async () => {
    const good = await ask("POST", "/auth", { body: { ...ANN, serveraddress: closed.host } });
    assert.deepEqual([good.status, JSON.parse(good.text)], [200, { Status: "Login Succeeded", IdentityToken: "" }]);
    const wrong = await ask("POST", "/auth", { body: { ...ANN, password: "wrong", serveraddress: closed.host } });
    assert.equal(wrong.status, 401);
    assert.match(JSON.parse(wrong.text).message, /unauthorized/);
  });
});

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

interface Ask {
  readonly auth?: string | undefined;
  readonly body?: object | undefined;
}

function ask(method: string, path: string, { auth, body }: Ask = {}): Promise<{ status: number; text: string }> {
  const socketPath = join(daemon.folder, "gantry.sock");
  const headers = {
    ...(auth !== undefined && { "X-Registry-Auth": auth }),
    ...(body !== undefined && { "Content-Type": "application/json" }),
  };
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, method, path: `/v1.51${path}`, headers }, async (response) => {
      const chunks = await Array.fromAsync(response as AsyncIterable<Buffer>);
      resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() });
    });
    sent.on("error", reject).end(body === undefined ? undefined : JSON.stringify(body));
  });
}
