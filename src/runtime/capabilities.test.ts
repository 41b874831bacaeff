import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { normalizeCapabilities, resolveCapabilities } from "./capabilities.ts";

const ALL = (1n << 41n) - 1n;
const SYS_RESOURCE = 1n << 24n;

describe("a container's capabilities", () => {
  it("are Docker's fourteen by default", () => {
    const names = resolveCapabilities({ available: ALL });
    assert.equal(names.length, 14);
    assert.ok(names.includes("CAP_NET_RAW"));
    assert.ok(!names.includes("CAP_SYS_ADMIN"));
  });

  it("grow and shrink by names with and without prefix, in any case", () => {
    const names = resolveCapabilities({ add: ["net_admin"], drop: ["CAP_CHOWN", "Kill"], available: ALL });
    assert.ok(names.includes("CAP_NET_ADMIN"));
    assert.ok(!names.includes("CAP_CHOWN"));
    assert.ok(!names.includes("CAP_KILL"));
    assert.equal(names.length, 13);
  });

  it("are what was added when all others are dropped", () => {
    assert.deepEqual(resolveCapabilities({ add: ["CHOWN"], drop: ["ALL"], available: ALL }), ["CAP_CHOWN"]);
    assert.deepEqual(resolveCapabilities({ drop: ["all"], available: ALL }), []);
  });

  it("are all but the dropped ones when all are added", () => {
    const names = resolveCapabilities({ add: ["ALL"], drop: ["SYS_ADMIN"], available: ALL });
    assert.equal(names.length, 40);
    assert.ok(!names.includes("CAP_SYS_ADMIN"));
  });

  it("never go beyond what the machine has", () => {
    const available = ALL & ~SYS_RESOURCE;
    assert.ok(!resolveCapabilities({ privileged: true, available }).includes("CAP_SYS_RESOURCE"));
    assert.ok(!resolveCapabilities({ add: ["ALL"], available }).includes("CAP_SYS_RESOURCE"));
  });
});

describe("a name that cannot be given", () => {
  it("is refused with Docker's text", () => {
    assert.throws(() => normalizeCapabilities(["nonsense"], "CapAdd", ALL), {
      kind: "invalid",
      message: 'invalid CapAdd: unknown capability: "CAP_NONSENSE"',
    });
    assert.throws(() => normalizeCapabilities(["x"], "CapDrop", ALL), { message: /^invalid CapDrop: unknown/ });
    assert.throws(() => normalizeCapabilities(["SYS_RESOURCE"], "CapAdd", ALL & ~SYS_RESOURCE), {
      message: /not supported by your kernel or not available in the current environment: "CAP_SYS_RESOURCE"/,
    });
  });

  it("may be dropped though the machine lacks it", () => {
    assert.deepEqual(normalizeCapabilities(["SYS_RESOURCE"], "CapDrop", 0n), ["CAP_SYS_RESOURCE"]);
  });
});
