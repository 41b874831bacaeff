import assert from "node:assert/strict";
import { test } from "node:test";
import { openLogs } from "./open.ts";

const ID = "0123abcd";

function sink(Type: string | undefined, Config?: Record<string, string>) {
  return openLogs().sink({ Type, ...(Config !== undefined && { Config }) }, "/data", ID);
}

test("Without a configuration a container logs to a json-file that is rotated, and what was rotated is compressed", () => {
  assert.deepEqual(sink(undefined), {
    driver: "json-file",
    path: `/data/${ID}-json.log`,
    maxSize: 20_000_000,
    maxFiles: 5,
    compress: true,
  });
  assert.deepEqual(sink(""), sink("json-file"));
});

test("Who says how large a json-file may get has one, as with Docker; -1 is without end", () => {
  const rotation = (config: Record<string, string>) => {
    const { maxSize, maxFiles, compress } = sink("json-file", config);
    return [maxSize, maxFiles, compress];
  };
  assert.deepEqual(rotation({ "max-size": "5m" }), [5_000_000, 1, false]);
  assert.deepEqual(rotation({ "max-size": "-1" }), [undefined, 1, false]);
  assert.deepEqual(rotation({ "max-file": "2" }), [20_000_000, 2, true]);
  assert.deepEqual(rotation({ compress: "false" }), [20_000_000, 5, false]);
});

test("Sizes are decimal, and every option of json-file is known", () => {
  const config = {
    "max-size": "10m",
    "max-file": "3",
    compress: "true",
    labels: "a",
    env: "B",
    tag: "x",
    mode: "non-blocking",
  };
  const { maxSize, maxFiles, compress } = sink("json-file", config);
  assert.deepEqual([maxSize, maxFiles, compress], [10_000_000, 3, true]);
  assert.equal(sink("json-file", { "max-size": "1.5k" }).maxSize, 1500);
  assert.equal(sink("json-file", { "max-size": "-1" }).maxSize, undefined);
});

test("The local driver rotates five compressed files of 20 MB unless told otherwise", () => {
  assert.deepEqual(sink("local"), {
    driver: "local",
    path: "/data/container.log",
    maxSize: 20_000_000,
    maxFiles: 5,
    compress: true,
  });
  assert.equal(sink("local", { "max-file": "1" }).compress, false);
});

test("The driver none takes any option and can't be read", async () => {
  const none = sink("none", { whatever: "1" });
  assert.deepEqual(none, { driver: "none" });
  const options = { stdout: true, stderr: true, timestamps: false, framed: true };
  assert.throws(() => openLogs().read(none, options), {
    kind: "not-implemented",
    message: "configured logging driver does not support reading",
  });
  await openLogs().remove(none);
});

test("What no driver knows is refused in Docker's words", () => {
  const refused: [string, Record<string, string>, string][] = [
    ["loki", {}, "logger: no log driver named 'loki' is registered"],
    ["constructor", {}, "logger: no log driver named 'constructor' is registered"],
    ["json-file", { x: "1" }, "unknown log opt 'x' for json-file log driver"],
    ["local", { tag: "1" }, 'unknown log opt "tag" for log driver local'],
    ["json-file", { "max-size": "ten" }, "invalid size: 'ten'"],
    ["json-file", { "max-size": "0" }, "max-size must be a positive number"],
    ["json-file", { "max-file": "0" }, "max-file cannot be less than 1"],
    [
      "json-file",
      { compress: "true", "max-size": "1m" },
      "compress cannot be true when max-file is less than 2 or max-size is not set",
    ],
    ["json-file", { mode: "sometimes" }, "logger: logging mode not supported: sometimes"],
    [
      "json-file",
      { "max-buffer-size": "1m" },
      "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
    ],
  ];
  for (const [type, config, message] of refused) assert.throws(() => sink(type, config), { kind: "invalid", message });
});
