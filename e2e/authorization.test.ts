/** Authorization plug-ins over real sockets: what they are shown, what their no does, to both CLIs and to raw requests. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { createServer, request, type Server } from "node:http";
import { request as secureRequest } from "node:https";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { makeAuthority, makeCertificate } from "../src/testing/certificates.ts";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { Cli, missing } from "./lib/cli.ts";

const root = process.getuid?.() === 0;
const SOCKETS = "/run/docker/plugins";

type Asked = Readonly<Record<string, unknown>> & { readonly method: string };
type Verdict = object | string;

describe("authorization plug-ins", { skip: root ? false : "needs root" }, () => {
  const name = `gantry-test-${process.pid}`;
  const socket = join(SOCKETS, `${name}.sock`);
  let daemon: TestDaemon;
  let server: Server;
  let asked: Asked[] = [];
  let verdict: (asked: Asked) => Verdict;
  const allow = () => ({ Allow: true });

  before(async () => {
    mkdirSync(SOCKETS, { recursive: true });
    server = createServer(async (incoming, response) => {
      const text = (await Array.fromAsync(incoming as AsyncIterable<Buffer>)).join("");
      const method = (incoming.url ?? "").slice(1);
      if (method === "Plugin.Activate") return void response.end(JSON.stringify({ Implements: ["authz"] }));
      const one = { ...JSON.parse(text), method } as Asked;
      asked.push(one);
      const said = verdict(one);
      response.end(typeof said === "string" ? said : JSON.stringify(said));
    });
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    verdict = allow;
    daemon = await startDaemon();
    await daemon.kill("SIGTERM");
    const folder = join(daemon.folder, "certificates");
    mkdirSync(folder);
    makeAuthority(folder, "ca");
    for (const who of ["server", "alice"]) makeCertificate(folder, who, "ca");
    const [ca, cert, key] = ["ca.pem", "server.pem", "server.key"].map((file) => join(folder, file));
    daemon.setFlags([
      ...["--authorization-plugin", name, "-H", "tcp://127.0.0.1:0", "--tlsverify"],
      ...["--tlscacert", `${ca}`, "--tlscert", `${cert}`, "--tlskey", `${key}`],
    ]);
    await daemon.start();
  });
  after(async () => {
    verdict = allow;
    await daemon?.[Symbol.asyncDispose]();
    server?.closeAllConnections();
    server?.close();
    rmSync(socket, { force: true });
  });
  beforeEach(() => {
    asked = [];
    verdict = allow;
  });

  const record = (value: unknown) => (value ?? {}) as Readonly<Record<string | number, string>>;
  const decode = (value: unknown) => Buffer.from(String(value), "base64").toString();

  test("a request and its answer are shown whole, without credentials", async () => {
    await send(daemon, "POST", "/v1.51/volumes/create", '{"Name":"shown"}', {
      "Content-Type": "application/json",
      "X-Registry-Auth": "secret",
      Authorization: "secret",
      "X-Mine": "kept",
    });
    const [before, after] = asked;
    assert.deepEqual([before?.method, after?.method], ["AuthZPlugin.AuthZReq", "AuthZPlugin.AuthZRes"]);
    assert.equal(before?.RequestMethod, "POST");
    assert.equal(before?.RequestUri, "/v1.51/volumes/create");
    assert.equal(before?.RequestURI, before?.RequestUri);
    assert.equal(decode(before?.RequestBody), '{"Name":"shown"}');
    assert.equal(record(before?.RequestHeaders)["X-Mine"], "kept");
    assert.ok(!JSON.stringify(asked).includes("secret"));
    assert.equal(after?.ResponseStatusCode, 201);
    assert.equal(JSON.parse(decode(after?.ResponseBody)).Name, "shown");
    assert.equal(record(after?.ResponseHeaders)["Content-Type"], "application/json");
    assert.equal(before?.User, undefined);
  });

  test("a body in chunks is shown too, and what is said to /auth is not", async () => {
    await send(daemon, "POST", "/v1.51/volumes/create", '{"Name":"chunks"}', {
      "Content-Type": "application/json; charset=utf-8",
      "Transfer-Encoding": "chunked",
    });
    assert.equal(decode(asked[0]?.RequestBody), '{"Name":"chunks"}');
    asked = [];
    await send(daemon, "POST", "/v1.51/auth", '{"password":"x","serveraddress":"127.0.0.1:1"}', {
      "Content-Type": "application/json",
    });
    assert.equal(asked[0]?.RequestUri, "/v1.51/auth");
    assert.equal(asked[0]?.RequestBody, undefined);
  });

  test("over TLS the plug-in is told who asks", async () => {
    const port = Number(/API listen on 127\.0\.0\.1:(\d+)/.exec(daemon.log())?.[1]);
    const file = (which: string) => readFileSync(join(daemon.folder, "certificates", which));
    const options = {
      host: "127.0.0.1",
      port,
      path: "/version",
      ca: file("ca.pem"),
      cert: file("alice.pem"),
      key: file("alice.key"),
    };
    await new Promise<void>((resolve, reject) => {
      secureRequest({ ...options, agent: false }, (response) => response.resume().on("end", resolve))
        .on("error", reject)
        .end();
    });
    assert.equal(asked[0]?.User, "alice");
    assert.equal(asked[0]?.UserAuthNMethod, "TLS");
    assert.equal(decode(record(asked[0]?.RequestPeerCertificates)[0]), file("alice.pem").toString());
  });

  test("a no before keeps the request from being carried out; a no after keeps the answer back", async () => {
    verdict = ({ method }) => (method.endsWith("Req") ? { Allow: false, Msg: "volumes are not allowed" } : allow());
    const before = await send(daemon, "POST", "/v1.51/volumes/create", '{"Name":"never"}', {
      "Content-Type": "application/json",
    });
    assert.deepEqual(
      [before.status, JSON.parse(before.text).message],
      [403, `authorization denied by plugin ${name}: volumes are not allowed`],
    );
    verdict = ({ method }) => (method.endsWith("Res") ? { Allow: false, Msg: "not for you" } : allow());
    const after = await send(daemon, "GET", "/v1.51/volumes");
    assert.equal(after.status, 403);
    assert.ok(!after.text.includes("shown"), "nothing of the answer");
    verdict = allow;
    assert.ok(!(await send(daemon, "GET", "/v1.51/volumes")).text.includes("never"));
  });

  test("of a stream the beginning is shown, and a no keeps all of it back", async () => {
    const { Id } = await daemon.call<{ Id: string }>("POST", "/containers/create?name=streams", {
      Image: "busybox",
      Cmd: ["echo", "secret words"],
    });
    await daemon.call("POST", `/containers/${Id}/start`);
    await daemon.call("POST", `/containers/${Id}/wait`);
    const stream = [
      ["GET", `/containers/${Id}/logs?stdout=1`],
      ["GET", `/containers/${Id}/export`],
      ["GET", "/events?since=1&until=2"],
      ["POST", `/containers/${Id}/wait`],
      ["POST", `/containers/${Id}/attach?logs=1&stdout=1`],
    ] as const;
    for (const [method, path] of stream) {
      asked = [];
      verdict = allow;
      assert.equal((await send(daemon, method, path)).status, 200, path);
      assert.deepEqual([asked[1]?.method, asked[1]?.ResponseStatusCode], ["AuthZPlugin.AuthZRes", 200], path);
      verdict = ({ method }) => (method.endsWith("Res") ? { Allow: false, Msg: "not for you" } : allow());
      const refused = await send(daemon, method, path);
      assert.deepEqual([refused.status, refused.text.includes("secret words")], [403, false], path);
    }
    verdict = allow;
    const mounts = () => / overlay /.test(linesWith(readFileSync("/proc/self/mountinfo", "utf8"), daemon.folder));
    for (let attempt = 0; mounts() && attempt < 200; attempt++) await sleep(20);
    assert.ok(!mounts(), "what a refused export had mounted is gone");
    await daemon.call("DELETE", `/containers/${Id}`);
  });

  const linesWith = (text: string, word: string) =>
    text
      .split("\n")
      .filter((line) => line.includes(word))
      .join("\n");

  test("a plug-in that fails, says nonsense or less than yes has said no", async () => {
    const words: [Verdict, RegExp, number][] = [
      [{ Err: "out of order" }, /plugin .* failed with error: AuthZPlugin\.AuthZReq: out of order/, 500],
      ["no json", /plugin .* failed with error/, 500],
      [{}, /authorization denied by plugin/, 403],
      [{ Allow: "true" }, /authorization denied by plugin/, 403],
      ["[]", /failed with error/, 500],
    ];
    for (const [said, pattern, status] of words) {
      verdict = () => said;
      const answer = await send(daemon, "GET", "/v1.51/containers/json");
      assert.equal(answer.status, status, JSON.stringify(said));
      assert.match(JSON.parse(answer.text).message, pattern);
    }
  });

  for (const cliName of ["docker", "gantry"] as const)
    test(`${cliName}: streams, stdin and exec pass when allowed, and no is told in Docker's words`, {
      skip: missing(cliName),
    }, async () => {
      const cli = new Cli(cliName, daemon);
      const { code, out } = await cli.feed("through\n", "run", "-i", "--rm", "busybox", "sh", "-c", "cat; exit 3");
      assert.deepEqual([code, out], [3, "through"]);
      await cli.ok("run", "-d", "--name", `z-${cliName}`, "busybox", "sleep", "600");
      assert.equal((await cli.feed("y", "exec", "-i", `z-${cliName}`, "cat")).out, "y");
      const starts = asked.filter(({ RequestUri }) => /\/exec\/[^/]+\/start$/.test(String(RequestUri)));
      assert.match(
        decode(starts[0]?.RequestBody),
        /"Detach":false/,
        "a request that takes its connection over shows its body",
      );
      const tar = await cli.run("cp", `z-${cliName}:/etc/hostname`, "-");
      assert.equal(tar.code, 0);
      verdict = ({ RequestUri }) =>
        String(RequestUri).endsWith("/containers/create") ? { Allow: false, Msg: "no" } : allow();
      const refused = await cli.run("run", "--rm", "busybox", "true");
      assert.equal(refused.code, 125);
      assert.match(refused.err, new RegExp(`Error response from daemon: authorization denied by plugin ${name}: no`));
      verdict = allow;
      await cli.ok("rm", "-f", `z-${cliName}`);
      assert.match(await cli.ok("info", "-f", "{{.Plugins.Authorization}}"), new RegExp(name));
    });

  test("a name that nobody answers to ends the start", async () => {
    const flags = ["--authorization-plugin", "gantry-no-such-plugin"];
    await assert.rejects(
      startDaemon({ flags, image: false }),
      /failed to validate authorization plugin: plugin "gantry-no-such-plugin" not found/,
    );
  });
});

function send(daemon: TestDaemon, method: string, path: string, body = "", headers: Record<string, string> = {}) {
  const socketPath = daemon.host.slice("unix://".length);
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const sent = request({ socketPath, method, path, headers, agent: false }, async (response) => {
      const text = (await Array.fromAsync(response as AsyncIterable<Buffer>)).join("");
      resolve({ status: response.statusCode ?? 0, text });
    });
    sent.on("error", reject).end(body);
  });
}
