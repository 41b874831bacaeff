/** `gantry network exposure`: what it says, held against who does get an answer. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import type { NetworkExposure } from "../src/api/types/network.ts";
import { Cli } from "./lib/cli.ts";
import { ownDaemon } from "./lib/own-daemon.ts";

const daemon = ownDaemon();
let cli: Cli;
before(async () => {
  cli = new Cli("gantry", daemon);
});

const web = (name: string, ...flags: string[]) =>
  cli.ok("run", "-d", "--name", name, ...flags, "busybox", "sh", "-c", "mkdir -p /www; exec httpd -f -p 80 -h /www");

test("exposure says what is reachable from where, and what nobody listens at", async () => {
  await cli.ok("network", "create", "app");
  await web("open", "-p", "80", "-p", "81");
  await web("local", "-p", "127.0.0.1::80");
  await web("inner", "--network", "app");
  await cli.ok("run", "-d", "--name", "hosted", "--network", "host", "busybox", "sleep", "1000");
  const { Ports } = await daemon.call<NetworkExposure>("GET", "/gantry/networks/exposure");
  const of = (name: string) =>
    Ports.filter(({ ContainerName }) => ContainerName === name)
      .map(({ Port, From, Listens, Relayed }) => `${Port} ${From} ${Listens ? "" : "deaf"} ${Relayed ? "relayed" : ""}`)
      .map((line) => line.trim().replace(/ +/g, " "))
      .sort();
  assert.deepEqual(of("open"), [
    "80/tcp anywhere",
    "80/tcp anywhere relayed",
    "80/tcp networks",
    "81/tcp anywhere deaf",
    "81/tcp anywhere deaf relayed",
  ]);
  assert.deepEqual(of("local"), ["80/tcp host", "80/tcp networks"]);
  assert.deepEqual(of("inner"), ["80/tcp networks"]);
  assert.deepEqual(of("hosted"), ["anywhere"]);
  const table = await cli.ok("network", "exposure");
  assert.match(table, /^CONTAINER\s+PORT\s+REACHABLE AT\s+FROM\s+WHERE\s+LISTENS\n/);
  assert.match(table, /\nopen\s+80\/tcp\s+0\.0\.0\.0:\d+\s+every network of this host\s+.*\syes\n/);
  assert.match(table, /\nhosted\s+every port it listens at\s+every network of this host/);
  assert.doesNotMatch(table, /inner|local/);
  const all = await cli.ok("network", "exposure", "--all", "--format", "{{.Container}} {{.At}} {{.From}} {{.Where}}");
  assert.match(all, /^inner [0-9.]+:80 its own networks, this host app$/m);
  assert.match(all, /^local 127\.0\.0\.1:\d+ this host $/m);
  await cli.ok("rm", "-f", "open", "local", "inner", "hosted");
  assert.deepEqual((await daemon.call<NetworkExposure>("GET", "/gantry/networks/exposure")).Ports, []);
});
