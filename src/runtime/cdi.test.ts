import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { DeviceRequest } from "../api/types/container.ts";
import { withCdi } from "./cdi-edits.ts";
import { readCdi } from "./cdi-specs.ts";
import { requestedCdi } from "./device-requests.ts";
import type { Spec } from "./spec-types.ts";

function folders(t: TestContext, files: Readonly<Record<string, string | object>>): string[] {
  const root = mkdtempSync(join(tmpdir(), "gantry-cdi-"));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  for (const name of ["etc", "run"]) mkdirSync(join(root, name));
  for (const [name, content] of Object.entries(files))
    writeFileSync(join(root, name), typeof content === "string" ? content : JSON.stringify(content));
  return [join(root, "etc"), join(root, "run"), join(root, "not-there")];
}

const YAML = `
cdiVersion: 0.6.0
kind: nvidia.com/gpu
containerEdits:
  env: [SHARED=1, PATH=/gpu/bin]
  hooks:
    - {hookName: createContainer, path: /usr/bin/hook, args: [hook, x], env: [A=1], timeout: 3}
devices:
  - name: "0"
    containerEdits:
      deviceNodes:
        - {path: /dev/gpu0, hostPath: /dev/null, permissions: rw, fileMode: 432, gid: 44}
      additionalGids: [0, 44]
  - name: "1"
    containerEdits:
      deviceNodes: [{path: /dev/gpu1, type: c, major: 195, minor: 1}]
  - name: all
    containerEdits:
      mounts:
        - {hostPath: /tmp, containerPath: /gpu/lib, options: [ro, bind]}
        - {hostPath: /var, containerPath: /gpu}
`;

const SPEC: Spec = {
  ociVersion: "1.0.2",
  process: { user: { uid: 7, gid: 8 }, args: ["sh"], env: ["PATH=/bin", "B=2"], cwd: "/" },
  root: { path: "/r" },
  mounts: [{ destination: "/proc" }, { destination: "/gpu/lib/inner" }, { destination: "/gpu" }],
  linux: { namespaces: [], resources: { devices: [{ allow: false, access: "rwm" }] } },
};

const pick = (at: readonly string[], ...requests: DeviceRequest[]) => requestedCdi(requests, () => readCdi(at));

test("a specification's common edits come once, then each device's, into every part of the container", (t) => {
  const at = folders(t, { "etc/nvidia.yaml": YAML });
  const devices = pick(at, {
    Driver: "cdi",
    DeviceIDs: ["nvidia.com/gpu=0", "nvidia.com/gpu=1", "nvidia.com/gpu=all"],
  });
  const spec = withCdi(SPEC, devices);
  assert.deepEqual(spec.process.env, ["B=2", "SHARED=1", "PATH=/gpu/bin"]);
  assert.deepEqual(spec.process.user.additionalGids, [44]);
  assert.deepEqual(spec.hooks, {
    createContainer: [{ path: "/usr/bin/hook", args: ["hook", "x"], env: ["A=1"], timeout: 3 }],
  });
  assert.deepEqual(spec.linux.devices, [
    { path: "/dev/gpu0", type: "c", major: 1, minor: 3, fileMode: 432, uid: 7, gid: 44 },
    { path: "/dev/gpu1", type: "c", major: 195, minor: 1, uid: 7, gid: 8 },
  ]);
  assert.deepEqual(spec.linux.resources?.devices, [
    { allow: false, access: "rwm" },
    { allow: true, type: "c", major: 1, minor: 3, access: "rw" },
    { allow: true, type: "c", major: 195, minor: 1, access: "rwm" },
  ]);
  assert.deepEqual(
    spec.mounts.map(({ destination, source }) => `${destination} ${source ?? ""}`.trim()),
    ["/proc", "/gpu /var", "/gpu/lib /tmp", "/gpu/lib/inner"],
  );
  assert.deepEqual(SPEC.process.env, ["PATH=/bin", "B=2"], "the given one is as it was");
});

test("GPUs are counted, named or all, by their maker's specification", (t) => {
  const at = folders(t, { "etc/nvidia.yaml": YAML });
  const gpus = (request: DeviceRequest) => pick(at, { Capabilities: [["gpu"]], ...request }).map(({ name }) => name);
  assert.deepEqual(gpus({ Count: -1 }), ["nvidia.com/gpu=all"]);
  assert.deepEqual(gpus({ Count: 1 }), ["nvidia.com/gpu=0"]);
  assert.deepEqual(gpus({ DeviceIDs: ["1"] }), ["nvidia.com/gpu=1"]);
  assert.deepEqual(gpus({ Driver: "nvidia", Count: 2 }), ["nvidia.com/gpu=0", "nvidia.com/gpu=1"]);
  assert.throws(() => gpus({ Count: 3 }), /3 GPUs were asked for, 2 are known/);
  assert.throws(
    () => gpus({ Driver: "amd", Count: 1 }),
    /could not select device driver "amd" with capabilities: \[\[gpu\]\]/,
  );
  assert.throws(() => pick([], { Count: -1, Capabilities: [["gpu"]] }), {
    message: 'could not select device driver "" with capabilities: [[gpu]]',
    hint: /nvidia-ctk/,
  });
});

test("the later folder goes before; what two files of one folder claim is nobody's", (t) => {
  const file = (value: string) => ({
    cdiVersion: "0.5.0",
    kind: "v.com/net",
    devices: [{ name: "a", containerEdits: { env: [`FROM=${value}`] } }],
  });
  const at = folders(t, { "etc/one.json": file("etc"), "run/one.json": file("run") });
  const [device] = pick(at, { Driver: "cdi", DeviceIDs: ["v.com/net=a"] });
  assert.deepEqual(device?.edits[1]?.env, ["FROM=run"]);
  const claimed = folders(t, { "etc/one.json": file("1"), "etc/two.json": file("2") });
  assert.throws(() => pick(claimed, { Driver: "cdi", DeviceIDs: ["v.com/net=a"] }), {
    message: "CDI device injection failed: unresolvable CDI devices v.com/net=a",
    hint: /conflicting device "v\.com\/net=a"/,
  });
});

test("a wrong file is told and harms no other; names and devices that are not there are refused", (t) => {
  const wrong: Record<string, [string | object, RegExp]> = {
    "a.json": ["{", /JSON/],
    "b.yaml": ["a: [", /./],
    "c.json": [[], /the specification must be an object/],
    "d.json": [{ cdiVersion: "0.5.0", kind: "novendor", devices: [] }, /invalid kind "novendor"/],
    "e.json": [{ cdiVersion: "0.5.0", kind: "v.com/a/b", devices: [] }, /invalid kind/],
    "f.json": [{ kind: "v.com/a", devices: [] }, /cdiVersion/],
    "g.json": [{ cdiVersion: "0.5.0", kind: "v.com/a", devices: [{ name: "../x" }] }, /invalid device name/],
    "h.json": [
      { cdiVersion: "0.5.0", kind: "v.com/a", devices: [{ name: "x", containerEdits: { env: ["=1"] } }] },
      /environment/,
    ],
    "i.json": [
      {
        cdiVersion: "0.5.0",
        kind: "v.com/a",
        containerEdits: { hooks: [{ hookName: "late", path: "/x" }] },
        devices: [],
      },
      /invalid hook name "late"/,
    ],
    "j.yaml": [`a: &a [1]\n${"b: [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"}kind: 3`, /./],
  };
  const at = folders(t, {
    ...Object.fromEntries(Object.entries(wrong).map(([name, [content]]) => [`etc/${name}`, content])),
    "etc/readme.txt": "not looked at",
    "run/good.yaml": YAML,
  });
  const { devices, problems } = readCdi(at);
  assert.deepEqual([...devices.keys()], ["nvidia.com/gpu=0", "nvidia.com/gpu=1", "nvidia.com/gpu=all"]);
  for (const [name, [, pattern]] of Object.entries(wrong))
    assert.match(problems.find((problem) => problem.includes(name)) ?? `${name} was taken`, pattern);
  assert.throws(() => pick(at, { Driver: "cdi", DeviceIDs: ["x.com/y=z"] }), /unresolvable CDI devices x\.com\/y=z/);
  const gone = folders(t, {
    "etc/a.json": {
      cdiVersion: "0.5.0",
      kind: "v.com/a",
      devices: [{ name: "x", containerEdits: { deviceNodes: [{ path: "/dev/gantry-not-there" }] } }],
    },
  });
  assert.throws(
    () => withCdi(SPEC, pick(gone, { Driver: "cdi", DeviceIDs: ["v.com/a=x"] })),
    /CDI device injection failed: \/dev\/gantry-not-there/,
  );
});
