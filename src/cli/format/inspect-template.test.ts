import assert from "node:assert/strict";
import { test } from "node:test";
import { ExitError } from "../command.ts";
import { inspectTemplate } from "./inspect-template.ts";
import type { InspectedType } from "./typed.ts";

const CONTAINER = {
  Id: "abc",
  State: { Status: "running", Running: true, Pid: 42, ExitCode: 0, StartedAt: "2026-01-02T03:04:05Z" },
  HostConfig: { PortBindings: { "80/tcp": [{ HostIp: "", HostPort: "8080" }] }, CapDrop: null, NanoCpus: 1500000000 },
  Mounts: [{ Type: "bind", Source: "/a", Destination: "/b", Mode: "", RW: true, Propagation: "rprivate" }],
  Config: {
    ExposedPorts: { "80/tcp": {} },
    Env: ["A=1"],
    Labels: { "a.b": "c" },
    Healthcheck: { Test: ["CMD", "x"], Interval: 90_500_000_000 },
  },
  NetworkSettings: { Ports: { "443/tcp": null }, Networks: { bridge: { IPAddress: "172.17.0.2" } } },
  NewerField: { a: 1 },
};

const run = (format: string, type: InspectedType = "container", value: object = CONTAINER) =>
  inspectTemplate(format)(JSON.stringify(value), type);

test("structs print their fields in order, empty ones too", () => {
  assert.equal(run("{{.State}}"), "{running true false false false false 42 0  2026-01-02T03:04:05Z  <nil>}");
  assert.equal(run("{{.Mounts}}"), "[{bind  /a /b   true rprivate}]");
  assert.equal(run("{{.HostConfig.PortBindings}} {{.NetworkSettings.Ports}}"), "map[80/tcp:[{ 8080}]] map[443/tcp:[]]");
  assert.equal(run("{{.Config.ExposedPorts}}"), "map[80/tcp:{}]");
});

test("what is absent is nil, empty or zero, and no error", () => {
  assert.equal(run("{{.State.Health}} {{if .State.Health}}yes{{else}}no{{end}}"), "<nil> no");
  assert.equal(run("{{.HostConfig.CapDrop}} {{.Config.Volumes}} {{.HostConfig.Privileged}}"), "[] map[] false");
  assert.equal(run('[{{index .Config.Labels "nope"}}] [{{index .Config.Labels "a.b"}}]'), "[] [c]");
  assert.equal(run("{{.NetworkSettings.Networks.nope.IPAddress}}"), "<no value>");
});

test("fields have Go's names and JSON's names", () => {
  assert.equal(run("{{.ID}} {{.HostConfig.NanoCPUs}} {{.HostConfig.Resources.NanoCPUs}}"), "abc 1500000000 1500000000");
  assert.equal(run("{{.Id}} {{.HostConfig.NanoCpus}}"), "abc 1500000000");
});

test("fields that only the JSON has are found there", () => {
  assert.equal(run("{{.NewerField.a}}"), "1");
});

test("json writes members in the structs' order and leaves out empty ones that may be left out", () => {
  assert.equal(run("{{json .Mounts}}"), JSON.stringify([{ ...CONTAINER.Mounts[0] }]));
  assert.equal(run("{{json .HostConfig.CapDrop}} {{json .State.Health}}"), "null null");
  assert.equal(run("{{json .Config.Healthcheck}}"), '{"Test":["CMD","x"],"Interval":90500000000}');
  assert.equal(
    run("{{json .Config}}", "image", { Config: { Cmd: ["sh"], Env: ["A=1"] } }),
    '{"Env":["A=1"],"Cmd":["sh"]}',
  );
});

test("times and durations print as Go's", () => {
  const network = { Name: "n", Created: "2026-01-02T03:04:05.5+02:00" };
  assert.equal(run("{{.Created}}", "network", network), "2026-01-02 03:04:05.5 +0200 +0200");
  assert.equal(run("{{json .Created}}", "network", network), '"2026-01-02T03:04:05.5+02:00"');
  assert.equal(run("{{.Config.Healthcheck.Interval}} {{.Config.Healthcheck.Timeout}}"), "1m30.5s 0s");
});

const exits = (code: number, message: RegExp) => (error: unknown) =>
  error instanceof ExitError && error.code === code && message.test(error.message);

test("a template that does not parse ends with 64, one that cannot be run with 1", () => {
  assert.throws(() => run("{{.State"), exits(64, /^template parsing error: template: :1: unclosed action/));
  assert.throws(
    () => run("{{.State.Nope}}"),
    exits(
      1,
      /^template parsing error: template: :1:8: executing "" at <\.State\.Nope>: map has no entry for key "Nope"/,
    ),
  );
});

test("values of another type than the struct's are read from the JSON", () => {
  assert.equal(run("{{.State.Pid}}", "container", { State: { Pid: "many" } }), "many");
});
