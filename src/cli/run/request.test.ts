import assert from "node:assert/strict";
import { test } from "node:test";
import { parseFlags } from "../flags/parse.ts";
import { CONTAINER_FLAGS } from "./flags.ts";
import { containerRequest } from "./request.ts";

const request = (...words: string[]) =>
  containerRequest(parseFlags(CONTAINER_FLAGS, words, { interspersed: false }), { FROM_CLIENT: "here" });

test("without flags, output is attached and nothing else is asked for", () => {
  const { AttachStdin, AttachStdout, OpenStdin, Image, Cmd, HostConfig } = request("busybox", "ls", "-l");
  assert.deepEqual(
    { AttachStdin, AttachStdout, OpenStdin, Image, Cmd },
    { AttachStdin: false, AttachStdout: true, OpenStdin: false, Image: "busybox", Cmd: ["ls", "-l"] },
  );
  assert.equal(HostConfig?.Memory, undefined);
  assert.equal(HostConfig?.Init, undefined);
});

test("a variable without a value is the client's, or none", () => {
  assert.deepEqual(request("-e", "A=b c", "-e", "FROM_CLIENT", "-e", "NOWHERE", "x").Env, [
    "A=b c",
    "FROM_CLIENT=here",
  ]);
});

test("ports: ranges, addresses, protocols", () => {
  const { HostConfig, ExposedPorts } = request(
    "-p",
    "127.0.0.1:8000-8001:80-81/udp",
    "-p",
    "[::1]:5:5",
    "-p",
    "90",
    "x",
  );
  assert.deepEqual(HostConfig?.PortBindings, {
    "80/udp": [{ HostIp: "127.0.0.1", HostPort: "8000" }],
    "81/udp": [{ HostIp: "127.0.0.1", HostPort: "8001" }],
    "5/tcp": [{ HostIp: "::1", HostPort: "5" }],
    "90/tcp": [{ HostIp: "", HostPort: "" }],
  });
  assert.deepEqual(Object.keys(ExposedPorts ?? {}), ["80/udp", "81/udp", "5/tcp", "90/tcp"]);
});

test("what contradicts itself is refused", () => {
  assert.throws(() => request("--rm", "--restart", "always", "x"), /cannot specify both --restart and --rm/);
  assert.throws(() => request("--no-healthcheck", "--health-cmd", "x", "x"), /conflicts with --health/);
  assert.throws(() => request("--pid", "foo", "x"), /invalid PID mode/);
});
