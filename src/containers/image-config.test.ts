import assert from "node:assert/strict";
import { test } from "node:test";
import { mergeImageConfig } from "./image-config.ts";

const IMAGE = {
  Entrypoint: ["/entry"],
  Cmd: ["serve"],
  Env: ["PATH=/bin", "A=image"],
  Labels: { a: "image", b: "image" },
  ExposedPorts: { "80/tcp": {} },
  Volumes: { "/data": {} },
  User: "app",
  WorkingDir: "/srv",
  StopSignal: "SIGINT",
};

test("what the request leaves open comes from the image", () => {
  const { Entrypoint, Cmd, User, WorkingDir, StopSignal } = mergeImageConfig({}, IMAGE);
  assert.deepEqual(
    { Entrypoint, Cmd, User, WorkingDir, StopSignal },
    { Entrypoint: ["/entry"], Cmd: ["serve"], User: "app", WorkingDir: "/srv", StopSignal: "SIGINT" },
  );
});

const COMMANDS: readonly [string, { Entrypoint?: string[]; Cmd?: string[] }, string[] | null, string[] | null][] = [
  ["a command keeps the image's entrypoint", { Cmd: ["other"] }, ["/entry"], ["other"]],
  ["an entrypoint makes the image's command void", { Entrypoint: ["/mine"] }, ["/mine"], null],
  ["both are the request's", { Entrypoint: ["/mine"], Cmd: ["x"] }, ["/mine"], ["x"]],
  ["an empty entrypoint takes the image's away", { Entrypoint: [""], Cmd: ["x"] }, null, ["x"]],
];
for (const [title, wished, entrypoint, cmd] of COMMANDS)
  test(title, () => {
    const { Entrypoint, Cmd } = mergeImageConfig(wished, IMAGE);
    assert.deepEqual([Entrypoint, Cmd], [entrypoint, cmd]);
  });

test("nothing to run is refused", () => {
  assert.throws(() => mergeImageConfig({}, {}), { kind: "invalid", message: "no command specified" });
  assert.throws(() => mergeImageConfig({ Entrypoint: [""] }, IMAGE), { message: "no command specified" });
});

test("the request's variables come first and win, labels and ports and volumes are added up", () => {
  const merged = mergeImageConfig(
    { Env: ["A=mine", "B"], Labels: { a: "mine" }, ExposedPorts: { "1/udp": {} } },
    IMAGE,
  );
  assert.deepEqual(merged.Env, ["A=mine", "B", "PATH=/bin"]);
  assert.deepEqual(merged.Labels, { a: "mine", b: "image" });
  assert.deepEqual(merged.ExposedPorts, { "1/udp": {}, "80/tcp": {} });
  assert.deepEqual(merged.Volumes, { "/data": {} });
});

test("a working folder is cleaned, and must be absolute", () => {
  assert.equal(mergeImageConfig({ Cmd: ["x"], WorkingDir: "/a//b/../c/" }, {}).WorkingDir, "/a/c");
  assert.throws(() => mergeImageConfig({ Cmd: ["x"], WorkingDir: "a" }, {}), {
    message: "the working directory 'a' is invalid, it needs to be an absolute path",
  });
});

test("a health check's open fields come from the image's", () => {
  const image = { Cmd: ["x"], Healthcheck: { Test: ["CMD", "ok"], Interval: 1e9, Retries: 2 } };
  assert.deepEqual(mergeImageConfig({ Healthcheck: { Interval: 5e9 } }, image).Healthcheck, {
    Test: ["CMD", "ok"],
    Interval: 5e9,
    Timeout: undefined,
    StartPeriod: undefined,
    StartInterval: undefined,
    Retries: 2,
    OnFailure: undefined,
  });
});
