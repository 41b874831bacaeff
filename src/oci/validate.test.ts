import assert from "node:assert/strict";
import { test } from "node:test";
import { LIMITS, parseImageConfig, parseIndex, parseManifest } from "./validate.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;
const bytes = (value: unknown) => Buffer.from(JSON.stringify(value));
const descriptor = { mediaType: "x/y", digest: DIGEST, size: 3 };
const manifest = { schemaVersion: 2, config: descriptor, layers: [descriptor] };
const config = { os: "linux", architecture: "amd64", rootfs: { type: "layers", diff_ids: [DIGEST] } };

test("a configuration keeps what is known, without nulls", () => {
  const parsed = parseImageConfig(
    bytes({
      ...config,
      config: { Env: ["A=1"], Cmd: null, Volumes: { "/v": null }, Other: 1 },
      history: [{ created_by: "x", empty_layer: false }],
      more: 1,
    }),
  );
  assert.deepEqual(parsed, {
    ...config,
    config: { Env: ["A=1"], Volumes: { "/v": {} } },
    history: [{ created_by: "x" }],
  });
});

test("a configuration without system and architecture is taken for the host's", () => {
  assert.equal(parseImageConfig(bytes({ rootfs: config.rootfs })).os, "linux");
});

test("a field named __proto__ harms nobody", () => {
  const parsed = parseImageConfig(
    Buffer.from(`{"rootfs":{"type":"layers"},"config":{"Labels":{"__proto__":"x"},"__proto__":{"User":"evil"}}}`),
  );
  assert.equal(parsed.config?.User, undefined);
  assert.equal(Object.getPrototypeOf(parsed.config?.Labels ?? {}), Object.prototype);
});

const HOSTILE_CONFIGS: readonly (readonly [what: string, value: unknown, message: RegExp])[] = [
  ["an array", [], /is not an object/],
  ["no rootfs", { os: "linux" }, /rootfs: is not an object/],
  ["a wrong rootfs type", { rootfs: { type: "base" } }, /expected "layers"/],
  ["a wrong diff id", { rootfs: { type: "layers", diff_ids: ["sha256:../../x"] } }, /diff_ids: has the digest/],
  ["too many layers", { rootfs: { type: "layers", diff_ids: Array(LIMITS.layers + 1).fill(DIGEST) } }, /at most 127/],
  ["Env as a string", { ...config, config: { Env: "A=1" } }, /config\.Env: is not an array/],
  ["numbers in Cmd", { ...config, config: { Cmd: [1] } }, /config\.Cmd\[0\]: is not a string/],
  ["NUL in User", { ...config, config: { User: "a\0b" } }, /config\.User: has a NUL byte/],
  ["NUL in a volume", { ...config, config: { Volumes: { "/a\0": {} } } }, /NUL/],
  ["labels that are numbers", { ...config, config: { Labels: { a: 1 } } }, /Labels: is not a string/],
];

for (const [what, value, message] of HOSTILE_CONFIGS)
  test(`a configuration with ${what} is refused`, () => {
    assert.throws(() => parseImageConfig(bytes(value)), { kind: "invalid", message });
  });

const HOSTILE_MANIFESTS: readonly (readonly [what: string, value: unknown, message: RegExp])[] = [
  ["schema version 1", { ...manifest, schemaVersion: 1 }, /schema version 1, expected 2/],
  ["manifests in it", { ...manifest, manifests: [] }, /it is an index/],
  ["a negative size", { ...manifest, config: { ...descriptor, size: -1 } }, /config: has the size -1/],
  ["a fractional size", { ...manifest, config: { ...descriptor, size: 0.5 } }, /size 0.5/],
  ["no configuration", { ...manifest, config: null }, /config: is not an object/],
  ["too many layers", { ...manifest, layers: Array(LIMITS.layers + 1).fill(descriptor) }, /at most 127/],
  ["a wrong digest", { ...manifest, layers: [{ ...descriptor, digest: "sha256:abc" }] }, /layers\[0\]: has the digest/],
];

for (const [what, value, message] of HOSTILE_MANIFESTS)
  test(`a manifest with ${what} is refused`, () => {
    assert.throws(() => parseManifest(bytes(value)), { kind: "invalid", message });
  });

test("documents that are no JSON, no UTF-8, or too long are refused", () => {
  assert.throws(() => parseIndex(Buffer.from("{")), { kind: "invalid", message: /not valid JSON/ });
  assert.throws(() => parseIndex(Buffer.from([0x7b, 0xff, 0x7d])), { kind: "invalid", message: /not valid JSON/ });
  assert.throws(() => parseIndex(Buffer.alloc(LIMITS.manifestBytes + 1, 0x20)), {
    kind: "invalid",
    message: /at most/,
  });
  assert.throws(() => parseIndex(Buffer.from("[".repeat(1 << 20))), { kind: "invalid" });
});

test("an index is no manifest and a manifest no index", () => {
  assert.deepEqual(parseIndex(bytes({ schemaVersion: 2, manifests: [descriptor] })).manifests, [descriptor]);
  assert.throws(() => parseIndex(bytes(manifest)), { kind: "invalid", message: /it is no index/ });
});
