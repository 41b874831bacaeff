import assert from "node:assert/strict";
import { test } from "node:test";
import type { HostConfig } from "../api/types/container.ts";
import { planMounts } from "./mount-points.ts";
import type { MountRecord } from "./record.ts";

const none = { mountsOf: () => [] };
const plan = (hostConfig: HostConfig, volumes: Record<string, object> = {}) =>
  planMounts({ Volumes: volumes as Record<string, Record<string, unknown>> }, hostConfig, none);

test("-v with a path is a bind whose source is made", () => {
  const [mount] = plan({ Binds: ["/host/dir/:/in:ro,rslave"] });
  assert.deepEqual(mount, {
    type: "bind",
    source: "/host/dir",
    destination: "/in",
    mode: "ro,rslave",
    writable: false,
    propagation: "rslave",
    createSource: true,
  });
});

test("-v with a name is a volume, with a target alone an anonymous one", () => {
  const [named, anonymous] = plan({ Binds: ["data:/a:nocopy", "/b"] });
  assert.deepEqual([named?.type, named?.name, named?.noCopy, named?.anonymous], ["volume", "data", true, undefined]);
  assert.equal(anonymous?.anonymous, true);
  assert.match(anonymous?.name ?? "", /^[0-9a-f]{64}$/);
});

test("an image's volumes are anonymous, but for places that are taken", () => {
  const planned = plan({ Binds: ["/x:/a"], Tmpfs: { "/t/": "" } }, { "/a": {}, "/t": {}, "/c/": {} });
  assert.deepEqual(
    planned.map(({ destination, anonymous }) => [destination, anonymous === true]),
    [
      ["/a", false],
      ["/c", true],
    ],
  );
});

test("--volumes-from comes first, may be made read-only, and is covered by own mounts", () => {
  const theirs: MountRecord[] = ["/a", "/b"].map((destination) => ({
    type: "volume",
    name: `v${destination}`,
    source: "",
    destination,
    mode: "",
    writable: true,
    propagation: "",
    anonymous: true,
  }));
  const planned = planMounts({}, { VolumesFrom: ["other:ro"], Binds: ["/x:/b"] }, { mountsOf: () => theirs });
  assert.deepEqual(
    planned.map(({ destination, type, writable, anonymous }) => [destination, type, writable, anonymous]),
    [
      ["/a", "volume", false, undefined],
      ["/b", "bind", true, undefined],
    ],
  );
});

const REFUSED: readonly [string, HostConfig, string | RegExp][] = [
  ["no target", { Binds: ["/a:"] }, "invalid volume specification: '/a:'"],
  ["too many parts", { Binds: ["/a:/b:ro:x"] }, "invalid volume specification: '/a:/b:ro:x'"],
  [
    "a relative target",
    { Binds: ["/a:b"] },
    `invalid volume specification: '/a:b': invalid mount config for type "bind": invalid mount path: 'b' mount path must be absolute`,
  ],
  [
    "the root as target",
    { Binds: ["/a:/x/.."] },
    `invalid volume specification: '/a:/x/..': invalid mount config for type "bind": invalid specification: destination can't be '/'`,
  ],
  ["an unknown mode", { Binds: ["/a:/b:rw,fast"] }, "invalid mode: rw,fast"],
  ["two access modes", { Binds: ["/a:/b:rw,ro"] }, "invalid mode: rw,ro"],
  ["propagation of a volume", { Binds: ["v:/b:rshared"] }, "invalid mode: rshared"],
  ["the same target twice", { Binds: ["/a:/b", "/c:/b/"] }, "Duplicate mount point: /b"],
  [
    "a mount without a target",
    { Mounts: [{ Type: "volume" }] },
    `invalid mount config for type "volume": field Target must not be empty`,
  ],
  [
    "a bind of nothing",
    { Mounts: [{ Type: "bind", Source: "/does/not/exist", Target: "/b" }] },
    `invalid mount config for type "bind": bind source path does not exist: /does/not/exist`,
  ],
  [
    "a tmpfs with a source",
    { Mounts: [{ Type: "tmpfs", Source: "x", Target: "/b" }] },
    `invalid mount config for type "tmpfs": field Source must not be specified`,
  ],
  [
    "options of another type",
    { Mounts: [{ Type: "volume", Source: "v", Target: "/b", BindOptions: {} }] },
    `invalid mount config for type "volume": field BindOptions must not be specified`,
  ],
  [
    "a way out of the volume",
    { Mounts: [{ Type: "volume", Source: "v", Target: "/b", VolumeOptions: { Subpath: "../x" } }] },
    /subpath must be a relative path within the volume/,
  ],
];
for (const [what, hostConfig, message] of REFUSED)
  test(`refuses ${what}`, () => {
    assert.throws(() => plan(hostConfig), { kind: "invalid", message });
  });
