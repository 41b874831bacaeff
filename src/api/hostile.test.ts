/** What hostile or broken clients send: every case ends in an error answer or a closed connection, and the server answers the next. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EngineError } from "../base/errors.ts";
import { startApi } from "../testing/api-harness.ts";
import { MAX_JSON_BYTES } from "./body.ts";
import { ACCEPTED, readFilters } from "./filters.ts";
import { parseJson } from "./json/parse.ts";
import { containerCreate } from "./json/requests.ts";
import { decode, list, map, string, struct } from "./json/schema.ts";
import { parseQuery } from "./query.ts";
import { createRouter } from "./router.ts";
import { routes } from "./routes/table.ts";

const router = createRouter(routes);

test("raw nonsense is refused and the next client is served", async (t) => {
  const { connect, ask } = await startApi(t);
  const create = "POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
  for (const bytes of [
    "\0\0\0\0\r\n\r\n",
    "GET\r\n\r\n",
    "GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    "GET /_ping HTTP/1.1\r\n\r\n",
    `GET /${"a".repeat(2 << 20)} HTTP/1.1\r\nHost: x\r\n\r\n`,
    `GET /_ping HTTP/1.1\r\nHost: x\r\n${"a: b\r\n".repeat(400_000)}\r\n`,
    `${create}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n`,
    `${create}Transfer-Encoding: chunked\r\n\r\nzz\r\n`,
    `${create}Content-Length: -1\r\n\r\n`,
    `${create}Content-Length: ${MAX_JSON_BYTES + 1}\r\n\r\n`,
  ]) {
    const client = connect();
    client.end(bytes);
    await client.ended;
    assert.match(client.received, /^HTTP\/1\.1 4\d\d /, JSON.stringify(bytes.slice(0, 60)));
    client.socket.destroy();
  }
  assert.equal((await ask("/_ping")).status, 200);
});

test("a body that grows past the bound is refused while it comes", async (t) => {
  const { connect } = await startApi(t);
  const client = connect();
  client.write(
    "POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
  );
  const chunk = `100000\r\n${" ".repeat(1 << 20)}\r\n`;
  for (let sent = 0; sent <= MAX_JSON_BYTES + (1 << 20) && !client.received.includes("413"); sent += 1 << 20) {
    client.write(chunk);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await client.until("413 Payload Too Large");
  client.socket.destroy();
});

test("a deep document is no harm", () => {
  const depth = 1_000_000;
  const text = `{"Image":${"[".repeat(depth)}${"]".repeat(depth)}}`;
  assert.throws(() => decode(containerCreate, parseJson(text)), { kind: "invalid" });
  assert.deepEqual(decode(containerCreate, parseJson(`{"Unknown":${"[".repeat(depth)}${"]".repeat(depth)}}`)), {});
  assert.throws(() => parseJson("[".repeat(depth)), { kind: "invalid", message: "unexpected end of JSON input" });
});

test("a key cannot reach a prototype", () => {
  const decoded = decode(map(string), parseJson('{"__proto__":"x","constructor":"y"}'));
  assert.deepEqual(Object.entries(decoded ?? {}), [
    ["__proto__", "x"],
    ["constructor", "y"],
  ]);
  assert.equal(({} as { x?: unknown }).x, undefined);
  const filters = readFilters('{"__proto__":["x"]}', undefined);
  assert.deepEqual(Object.getOwnPropertyNames(filters), ["__proto__"]);
  assert.deepEqual(decode(struct<object>("T", {}), parseJson('{"__proto__":{"a":1}}')), {});
});

test("every way out of a percent escape, a query and a filter is a value or an invalid request", () => {
  const anyText = fc.oneof(fc.string({ unit: "binary" }), fc.stringMatching(/^[%&=+a-f0-9;]*$/));
  fc.assert(
    fc.property(anyText, (text) => valueOrInvalid(() => parseQuery(text))),
    { numRuns: 1000 },
  );
  const anyJson = fc.oneof(
    anyText,
    fc.json(),
    fc.dictionary(fc.constantFrom("label", "name", "x"), fc.anything()).map((value) => JSON.stringify(value) ?? ""),
  );
  fc.assert(
    fc.property(anyJson, (text) => valueOrInvalid(() => readFilters(text, ACCEPTED.volumes))),
    { numRuns: 1000 },
  );
});

test("a query is read back as it was written", () => {
  const pairs = fc.array(fc.tuple(fc.string({ minLength: 1 }), fc.string()));
  fc.assert(
    fc.property(pairs, (entries) => {
      const query = parseQuery(new URLSearchParams(entries).toString());
      const read = [...query].flatMap(([name, values]) => values.map((value) => [name, value]));
      const byName = (list: readonly (readonly string[])[]) => list.map((pair) => JSON.stringify(pair)).sort();
      assert.deepEqual(byName(read), byName(entries));
    }),
  );
});

test("any path finds a route, is not found, or is invalid", () => {
  const segment = fc.oneof(
    fc.constantFrom("containers", "images", "v1.51", "v1.9", "v99", "json", "..", ".", "%2e%2e", "%", "", "exec"),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(segment), fc.constantFrom("GET", "POST", "PUT", "x"), (segments, method) => {
      try {
        assert.ok(router.match(method, `/${segments.join("/")}`).route);
      } catch (error) {
        assert.ok(
          error instanceof EngineError && (error.kind === "not-found" || error.kind === "invalid"),
          String(error),
        );
      }
    }),
    { numRuns: 1000 },
  );
});

test("every route of the table is found by a path of its own", () => {
  for (const route of routes) {
    const { route: found } = router.match(route.method, route.path.replace(/\{\w+\}/g, "x"));
    assert.equal(found, route, `${route.method} ${route.path}`);
  }
});

test("any JSON text is decoded or invalid, and the words are Go's", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => valueOrInvalid(() => parseJson(text))),
    { numRuns: 1000 },
  );
  fc.assert(
    fc.property(fc.json(), fc.nat(), (text, at) => valueOrInvalid(() => parseJson(text.slice(0, at % text.length)))),
    { numRuns: 1000 },
  );
  for (const [text, message] of [
    ["{", "unexpected end of JSON input"],
    ['{"a"', "unexpected end of JSON input"],
    ['"abc', "unexpected end of JSON input"],
    ["{a", "invalid character 'a' looking for beginning of object key string"],
    ['{"a" 1}', "invalid character '1' after object key"],
    ['{"a":1 "b"}', "invalid character '\"' after object key:value pair"],
    ["[1 2]", "invalid character '2' after array element"],
    ["[1]]", "invalid character ']' after top-level value"],
    ["[1,]", "invalid character ']' looking for beginning of value"],
    ["'a'", "invalid character '\\'' looking for beginning of value"],
    ['"\n"', "invalid character '\\n' in string literal"],
  ] as const)
    assert.throws(() => parseJson(text), { kind: "invalid", message }, text);
});

test("any value in place of a container's configuration is decoded or refused with Go's words", () => {
  const key = fc.constantFrom(
    "Image",
    "cmd",
    "ENTRYPOINT",
    "Env",
    "Labels",
    "HostConfig",
    "hostconfig",
    "Memory",
    "PortBindings",
    "Mounts",
    "Healthcheck",
    "x",
  );
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      { maxDepth: 4 },
      fc.jsonValue({ maxDepth: 1 }),
      tie("object"),
      fc.array(tie("object"), { maxLength: 2 }),
    ),
    object: fc.dictionary(key, tie("any"), { maxKeys: 4 }),
  })).object;
  fc.assert(
    fc.property(value, (document) => {
      try {
        decode(containerCreate, document);
      } catch (error) {
        assert.match(
          (error as EngineError).message,
          /^json: cannot unmarshal (?:string|bool|array|object|number [-+.\de]+) into Go (?:struct field [\s\S]+|value) of type /u,
        );
      }
    }),
    { numRuns: 2000 },
  );
});

test("keys match without regard to case, the last one counts, null leaves a field alone", () => {
  const schema = struct<{ Name?: string; List?: string[] }>("T", { Name: string, List: list(string) });
  assert.deepEqual(decode(schema, { name: "a", NAME: "b", List: null }), { Name: "b" });
  assert.deepEqual(decode(schema, { LIST: ["x", null] }), { List: ["x", ""] });
  assert.equal(decode(schema, null), undefined);
});

function valueOrInvalid(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    assert.ok(error instanceof EngineError && error.kind === "invalid", String(error));
  }
}
