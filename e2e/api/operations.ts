/** Every operation of the API on containers, execs and the engine itself. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import { TarWriter } from "../../src/base/tar/writer.ts";
import { missing, type Row, tried } from "./rows.ts";
import type { Try } from "./try.ts";

const status = async (at: Try, id: string) => (await at.inspect(id)).State.Status;

async function bytesOf(at: Try, path: string): Promise<Buffer> {
  const response = await at.daemon.open("GET", path);
  assert.equal(response.statusCode, 200);
  return Buffer.concat(await Array.fromAsync(response as AsyncIterable<Buffer>));
}

const NO_CHECKPOINTS = "not implemented: a process that CRIU restored would need a monitor that takes it over";

export const OPERATIONS: readonly Row[] = [
  tried("GET /containers/json", async (at) => {
    const id = await at.start({}, undefined, "listed");
    const filters = encodeURIComponent(JSON.stringify({ name: ["listed"], status: ["running"] }));
    const [found] = await at.daemon.call<{ Id: string; Names: string[]; SizeRootFs: number }[]>(
      "GET",
      `/containers/json?size=1&limit=1&filters=${filters}`,
    );
    assert.deepEqual([found?.Id, found?.Names], [id, ["/listed"]]);
    assert.ok((found?.SizeRootFs ?? 0) > 0);
  }),
  tried("POST /containers/create", async (at) => assert.equal(await status(at, await at.create({})), "created")),
  tried("GET /containers/{id}/json", async (at) => {
    const id = await at.create({}, "seen");
    const { Id, Name, SizeRw } = await at.daemon.call<{ Id: string; Name: string; SizeRw: number }>(
      "GET",
      `/containers/${id.slice(0, 12)}/json?size=1`,
    );
    assert.deepEqual([Id, Name, typeof SizeRw], [id, "/seen", "number"]);
  }),
  tried("GET /containers/{id}/top", async (at) => {
    const id = await at.start({});
    const { Titles, Processes } = await at.daemon.call<{ Titles: string[]; Processes: string[][] }>(
      "GET",
      `/containers/${id}/top?ps_args=-o%20pid,args`,
    );
    assert.deepEqual(Titles, ["PID", "COMMAND"]);
    assert.deepEqual(
      Processes.map((row) => row[1]),
      ["sleep 1000"],
    );
  }),
  tried("GET /containers/{id}/logs", async (at) => {
    const { text } = await at.run({}, "echo out; echo err >&2");
    assert.deepEqual(text.split("\n").sort(), ["", "err", "out"]);
  }),
  tried("GET /containers/{id}/changes", async (at) => {
    const id = await at.start({}, "echo > /new");
    await at.post(id, "wait");
    assert.deepEqual(await at.daemon.call("GET", `/containers/${id}/changes`), [{ Path: "/new", Kind: 1 }]);
  }),
  tried("GET /containers/{id}/export", async (at) => {
    const bytes = await bytesOf(at, `/containers/${await at.create({})}/export`);
    assert.ok(bytes.includes("etc/passwd"));
  }),
  tried("GET /containers/{id}/stats", async (at) => {
    const id = await at.start({});
    const sample = await at.daemon.call<{ id: string; pids_stats: { current: number } }>(
      "GET",
      `/containers/${id}/stats?stream=0`,
    );
    assert.deepEqual([sample.id, sample.pids_stats.current], [id, 1]);
  }),
  tried("POST /containers/{id}/resize", async (at) => {
    const id = await at.start({ Tty: true, OpenStdin: true }, "read x; stty size");
    await at.post(id, "resize?h=20&w=60");
    at.attach(id).resume().write("\n");
    await at.post(id, "wait");
    assert.match(await at.log(id), /20 60/);
  }),
  tried("POST /containers/{id}/start", async (at) => assert.equal(await status(at, await at.start({})), "running")),
  tried("POST /containers/{id}/stop", async (at) => {
    const id = await at.start({});
    await at.post(id, "stop?t=0&signal=TERM");
    assert.equal(await status(at, id), "exited");
  }),
  tried("POST /containers/{id}/restart", async (at) => {
    const id = await at.start({});
    const { Pid } = (await at.inspect(id)).State;
    await at.post(id, "restart?t=0");
    const after = (await at.inspect(id)).State;
    assert.ok(after.Running && after.Pid !== Pid);
  }),
  tried("POST /containers/{id}/kill", async (at) => {
    const id = await at.start({});
    await at.post(id, "kill?signal=KILL");
    assert.equal((await at.inspect(id)).State.ExitCode, 137);
  }),
  tried("POST /containers/{id}/update", async (at) => {
    const id = await at.start({});
    await at.post(id, "update", { CpuShares: 300, RestartPolicy: { Name: "always" } });
    const { CpuShares, RestartPolicy } = (await at.inspect(id)).HostConfig;
    assert.deepEqual([CpuShares, RestartPolicy?.Name], [300, "always"]);
  }),
  tried("POST /containers/{id}/rename", async (at) => {
    const id = await at.create({}, "before");
    await at.post(id, "rename?name=after");
    assert.equal((await at.inspect("after")).Id, id);
  }),
  tried("POST /containers/{id}/pause", async (at) => {
    const id = await at.start({});
    await at.post(id, "pause");
    assert.equal(await status(at, id), "paused");
  }),
  tried("POST /containers/{id}/unpause", async (at) => {
    const id = await at.start({});
    await at.post(id, "pause");
    await at.post(id, "unpause");
    assert.equal(await status(at, id), "running");
  }),
  tried("POST /containers/{id}/attach", async (at) => {
    const id = await at.start({ OpenStdin: true }, "read x; echo got $x");
    const client = at.attach(id);
    const chunks: Buffer[] = [];
    client.on("data", (bytes: Buffer) => chunks.push(bytes));
    client.write("it\n");
    await once(client, "end");
    client.end();
    const text = Buffer.concat(chunks).toString("latin1");
    assert.match(text, /^HTTP\/1\.1 101 [\s\S]*multiplexed-stream[\s\S]*got it\n$/);
  }),
  tried(
    "GET /containers/{id}/attach/ws",
    async (at) => {
      const id = await at.start({ OpenStdin: true });
      const asked = request({
        socketPath: at.daemon.host.replace("unix://", ""),
        path: `/v1.51/containers/${id}/attach/ws?stream=1&stdout=1`,
        headers: {
          Connection: "Upgrade",
          Upgrade: "websocket",
          "Sec-WebSocket-Version": "13",
          "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        },
      }).end();
      const [response, socket] = await once(asked, "upgrade");
      socket.destroy();
      assert.equal(response.headers["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    },
    "more in e2e/attach.test.ts",
  ),
  tried("POST /containers/{id}/wait", async (at) => {
    const id = await at.create({ Cmd: ["sh", "-c", "exit 3"] });
    const waiting = at.post(id, "wait?condition=next-exit");
    await at.post(id, "start");
    assert.deepEqual(await waiting, { StatusCode: 3 });
  }),
  tried("DELETE /containers/{id}", async (at) => {
    const id = await at.start({});
    await at.daemon.call("DELETE", `/containers/${id}?force=1&v=1`);
    await assert.rejects(at.inspect(id), /404/);
  }),
  tried("HEAD /containers/{id}/archive", async (at) => {
    const response = await at.daemon.open("HEAD", `/containers/${await at.create({})}/archive?path=/etc/passwd`);
    response.resume();
    const stat = JSON.parse(Buffer.from(String(response.headers["x-docker-container-path-stat"]), "base64").toString());
    assert.equal(stat.name, "passwd");
  }),
  tried("GET /containers/{id}/archive", async (at) => {
    const bytes = await bytesOf(at, `/containers/${await at.create({})}/archive?path=/etc/passwd`);
    assert.match(bytes.toString("latin1", 0, 6), /^passwd/);
  }),
  tried("PUT /containers/{id}/archive", async (at) => {
    const id = await at.create({ Cmd: ["cat", "/tmp/in"] });
    const tar = new TarWriter();
    void tar.add({ path: "in" }, "carried").then(() => tar.finish());
    await at.daemon.call("PUT", `/containers/${id}/archive?path=/tmp`, tar.stream);
    await at.post(id, "start");
    await at.post(id, "wait");
    assert.equal(await at.log(id), "carried");
  }),
  tried("POST /containers/prune", async (at) => {
    const id = await at.create({ Labels: { prune: "me" } });
    const filters = encodeURIComponent(JSON.stringify({ label: ["prune=me"] }));
    const { ContainersDeleted } = await at.daemon.call<{ ContainersDeleted: string[] }>(
      "POST",
      `/containers/prune?filters=${filters}`,
    );
    assert.deepEqual(ContainersDeleted, [id]);
  }),
  missing("GET /containers/{id}/checkpoints", NO_CHECKPOINTS),
  missing("POST /containers/{id}/checkpoints", NO_CHECKPOINTS),
  missing("DELETE /containers/{id}/checkpoints/{checkpoint}", NO_CHECKPOINTS),
  tried("POST /containers/{id}/exec", async (at) => {
    const { Id } = await at.post<{ Id: string }>(await at.start({}), "exec", { Cmd: ["true"] });
    assert.match(Id, /^[0-9a-f]{64}$/);
  }),
  tried("POST /exec/{id}/start", async (at) => {
    assert.equal(await at.exec(await at.start({}), "echo", "executed"), "executed\n");
  }),
  tried("POST /exec/{id}/resize", async (at) => {
    const id = await at.start({});
    const { Id } = await at.post<{ Id: string }>(id, "exec", { Cmd: ["sleep", "1000"], Tty: true });
    await at.daemon.call("POST", `/exec/${Id}/start`, { Detach: true, Tty: true });
    await at.daemon.call("POST", `/exec/${Id}/resize?h=20&w=60`);
    assert.match(await at.exec(id, "sh", "-c", "stty size < /proc/$(pidof sleep | cut -d' ' -f1)/fd/0"), /^20 60\n$/);
  }),
  tried("GET /exec/{id}/json", async (at) => {
    const id = await at.start({});
    const { Id } = await at.post<{ Id: string }>(id, "exec", { Cmd: ["sh", "-c", "exit 4"], AttachStdout: true });
    await (await at.daemon.open("POST", `/exec/${Id}/start`, {})).resume().toArray();
    const { ExitCode, Running } = await at.daemon.call<{ ExitCode: number; Running: boolean }>(
      "GET",
      `/exec/${Id}/json`,
    );
    assert.deepEqual([ExitCode, Running], [4, false]);
  }),
  tried(
    "POST /auth",
    async (at) => {
      const body = { username: "a", password: "b", serveraddress: "127.0.0.1:1" };
      await assert.rejects(at.daemon.call("POST", "/auth", body), /: 5\d\d .*127\.0\.0\.1:1/);
    },
    "tried with a registry in e2e/registry-auth.test.ts",
  ),
  tried("GET /info", async (at) => {
    const { ServerVersion, Plugins } = await at.daemon.call<{ ServerVersion: string; Plugins: { Log: string[] } }>(
      "GET",
      "/info",
    );
    assert.ok(ServerVersion !== "" && Plugins.Log.includes("syslog"));
  }),
  tried("GET /version", async (at) => {
    assert.equal((await at.daemon.call<{ ApiVersion: string }>("GET", "/version")).ApiVersion, "1.51");
  }),
  tried("GET /_ping", async (at) => assert.equal(await at.daemon.call("GET", "/_ping"), "OK")),
  tried("HEAD /_ping", async (at) => {
    const response = await at.daemon.open("HEAD", "/_ping");
    response.resume();
    assert.deepEqual([response.statusCode, response.headers["api-version"]], [200, "1.51"]);
  }),
  tried("GET /events", async (at) => {
    const since = Date.now() / 1000;
    const id = await at.create({});
    const text = await at.daemon.call<string>("GET", `/events?since=${since}&until=${(Date.now() + 5) / 1000}`);
    assert.ok(String(JSON.stringify(text)).includes(id));
  }),
  tried("GET /system/df", async (at) => {
    const { Images } = await at.daemon.call<{ Images: unknown[] }>("GET", "/system/df");
    assert.equal(Images.length, 1);
  }),
];
