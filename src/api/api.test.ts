import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { test } from "node:test";
import { EngineError } from "../base/errors.ts";
import { startApi } from "../testing/api-harness.ts";

test("ping tells clients the version, the system and the classic builder", async (t) => {
  const { ask } = await startApi(t);
  for (const method of ["GET", "HEAD"]) {
    const { status, headers, text } = await ask("/_ping", { method });
    assert.equal(status, 200);
    assert.equal(text, method === "GET" ? "OK" : "");
    assert.equal(headers["api-version"], "1.51");
    assert.equal(headers.ostype, "linux");
    assert.equal(headers["docker-experimental"], "false");
    assert.equal(headers["builder-version"], "2");
    assert.equal(headers.swarm, "inactive");
    assert.match(String(headers.server), /^Gantry\/9\.9\.9 \(linux\)$/);
    assert.match(headers["cache-control"] ?? "", /no-cache/);
  }
});

test("a version outside of ours is refused with Docker's words", async (t) => {
  const { ask } = await startApi(t);
  assert.deepEqual((await ask("/v1.52/_ping")).json, {
    message: "client version 1.52 is too new. Maximum supported API version is 1.51",
  });
  const old = await ask("/v1.23/version");
  assert.equal(old.status, 400);
  assert.deepEqual(old.json, {
    message:
      "client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version",
  });
  assert.equal((await ask("/v1.24/version")).status, 200);
  assert.equal((await ask("/version")).status, 200);
});

test("what is no route is not found, whatever its method", async (t) => {
  const { ask } = await startApi(t);
  for (const [method, url] of [
    ["GET", "/"],
    ["GET", "/nope"],
    ["DELETE", "/version"],
    ["GET", "/v1.51"],
    ["GET", "/v1.51/../version"],
    ["GET", "/containers//json"],
  ] as const) {
    const answer = await ask(url, { method });
    assert.equal(answer.status, 404, `${method} ${url}`);
  }
  assert.deepEqual((await ask("/nope")).json, { message: "page not found" });
});

test("errors carry their kind's status and message, and a hint in a field of its own", async (t) => {
  const { ask } = await startApi(t, {
    containers: {
      inspect: () => Promise.reject(new EngineError("not-found", "No such container: x")),
      kill: () => Promise.reject(new EngineError("conflict", "cannot kill", { hint: "Start it." })),
    },
  });
  const missing = await ask("/containers/x/json");
  assert.deepEqual([missing.status, missing.json], [404, { message: "No such container: x" }]);
  const refused = await ask("/containers/x/kill", { method: "POST" });
  assert.deepEqual([refused.status, refused.json], [409, { message: "cannot kill", hint: "Start it." }]);
  const person = await ask("/containers/x/kill", {
    method: "POST",
    headers: { "User-Agent": "Docker-Client/28.2.2 (linux)" },
  });
  assert.deepEqual(person.json, { message: "cannot kill\nStart it.", hint: "Start it." });
});

test("a bug in a handler is a 500 with an id that the log has too", async (t) => {
  const { ask, logged } = await startApi(t, {
    containers: {
      list: () => {
        throw new TypeError("x is not a function");
      },
    },
  });
  const { status, json } = await ask("/containers/json");
  assert.equal(status, 500);
  const id = /\(see (\w+) in/.exec((json as { message: string }).message)?.[1];
  assert.ok(logged.some((line) => line.startsWith("error") && line.includes(String(id)) && line.includes("TypeError")));
});

test("starting what runs already is 304 without a body", async (t) => {
  const { ask } = await startApi(t, {
    containers: { start: () => Promise.reject(new EngineError("not-modified", "runs")) },
  });
  const { status, text } = await ask("/v1.51/containers/a/start", { method: "POST" });
  assert.deepEqual([status, text], [304, ""]);
});

test("list parameters reach the engine by type", async (t) => {
  const seen: unknown[] = [];
  const { ask } = await startApi(t, {
    containers: {
      list: (options) => {
        seen.push(options);
        return Promise.resolve([]);
      },
    },
  });
  const query = `all=1&limit=3&size=true&filters=${encodeURIComponent('{"label":{"a=b":true},"status":["exited"]}')}`;
  assert.deepEqual((await ask(`/containers/json?${query}`)).json, []);
  await ask("/containers/json?all=False&limit=0");
  assert.deepEqual(seen, [
    { all: true, limit: 3, size: true, filters: { label: ["a=b"], status: ["exited"] } },
    { all: false, limit: undefined, size: false, filters: {} },
  ]);
  const bad = await ask("/containers/json?limit=x");
  assert.deepEqual([bad.status, bad.json], [400, { message: 'strconv.Atoi: parsing "x": invalid syntax' }]);
  const unknown = await ask(`/containers/json?filters=${encodeURIComponent('{"nope":["1"]}')}`);
  assert.deepEqual([unknown.status, unknown.json], [400, { message: "invalid filter 'nope'" }]);
  assert.equal((await ask("/containers/json?filters=%7B")).status, 400);
  assert.equal((await ask("/containers/json?all=%zz")).status, 400);
});

test("create decodes the body and answers 201", async (t) => {
  const seen: unknown[] = [];
  const { ask } = await startApi(t, {
    containers: {
      create: (name, request, platform) => {
        seen.push([name, request, platform]);
        return Promise.resolve({ Id: "abc", Warnings: [] });
      },
    },
  });
  const body = { image: "x", CMD: "true", HostConfig: { memory: 5, Unknown: 1, Init: null }, Unknown: {} };
  const made = await ask("/containers/create?name=n&platform=linux/amd64", { method: "POST", body });
  assert.deepEqual([made.status, made.json], [201, { Id: "abc", Warnings: [] }]);
  assert.deepEqual(seen, [["n", { Image: "x", Cmd: ["true"], HostConfig: { Memory: 5 } }, "linux/amd64"]]);
  const post = (text: string, type = "application/json") =>
    ask("/containers/create", { method: "POST", body: text, headers: { "Content-Type": type } });
  const messages = await Promise.all([
    post("{"),
    post('{"Image":1}'),
    post('{"Image":"x"} x'),
    post("{}", "text/plain"),
    ask("/containers/create", { method: "POST" }),
  ]);
  assert.deepEqual(
    messages.map(({ status, json }) => [status, (json as { message: string }).message]),
    [
      [400, "invalid JSON: unexpected EOF"],
      [400, "invalid JSON: json: cannot unmarshal number 1 into Go struct field CreateRequest.Image of type string"],
      [400, "unexpected content after JSON"],
      [400, "unsupported Content-Type header (text/plain): must be 'application/json'"],
      [400, "invalid JSON: got EOF while reading request body"],
    ],
  );
});

test("an image's name may have slashes and escapes", async (t) => {
  const seen: string[] = [];
  const { ask } = await startApi(t, {
    images: {
      inspect: (name) => {
        seen.push(name);
        return Promise.reject(new EngineError("not-found", `No such image: ${name}`));
      },
      history: (name) => {
        seen.push(name);
        return [];
      },
    },
  });
  await ask("/v1.51/images/example.org/a/b:1/json");
  await ask("/images/a%2Fb%3A1/json");
  await ask("/images/a/b@sha256:00/history");
  assert.deepEqual(seen, ["example.org/a/b:1", "a/b:1", "a/b@sha256:00"]);
});

test("swarm, plugins and what is not done are answered honestly", async (t) => {
  const { ask } = await startApi(t);
  const swarm = await ask("/services");
  assert.equal(swarm.status, 503);
  assert.match(swarm.text, /This node is not a swarm manager/);
  assert.deepEqual((await ask("/plugins")).json, []);
  for (const [method, url] of [
    ["POST", "/swarm/init"],
    ["POST", "/plugins/pull"],
  ] as const) {
    const { status, json } = await ask(url, { method });
    assert.equal(status, 501, url);
    assert.equal(typeof (json as { hint?: string }).hint, "string");
  }
});

test("an archive is sent as it comes, with its stat in a header", async (t) => {
  const stat = { name: "f", size: 3, mode: 420, mtime: "2026-01-01T00:00:00Z", linkTarget: "" };
  const { ask } = await startApi(t, {
    containers: {
      copyFrom: () => Promise.resolve({ stat, tar: Readable.from([Buffer.from("ta"), Buffer.from("r")]) }),
      statPath: () => Promise.resolve(stat),
      copyTo: async (_name, _path, tar) => {
        assert.equal(Buffer.concat(await tar.toArray()).toString(), "content");
      },
    },
  });
  for (const method of ["GET", "HEAD"]) {
    const { headers, text } = await ask("/containers/a/archive?path=/f", { method });
    assert.deepEqual(
      JSON.parse(Buffer.from(String(headers["x-docker-container-path-stat"]), "base64").toString()),
      stat,
    );
    assert.equal(text, method === "GET" ? "tar" : "");
  }
  assert.equal((await ask("/containers/a/archive?path=/", { method: "PUT", body: "content" })).status, 200);
  assert.deepEqual((await ask("/containers/a/archive")).json, { message: "bad parameter: 'path' cannot be empty" });
});
