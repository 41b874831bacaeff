/** Every field of a container's Config. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { kept, missing, type Row, shown, tried } from "./rows.ts";

export const CONFIG_FIELDS: readonly Row[] = [
  shown("Hostname", { Hostname: "box" }, "hostname", /^box\n$/),
  shown("Domainname", { Domainname: "lan" }, "cat /proc/sys/kernel/domainname", /^lan\n$/),
  shown("User", { User: "7:8" }, "id -u; id -g", /^7\n8\n$/),
  kept("AttachStdin", "Config", true),
  kept("AttachStdout", "Config", true),
  kept("AttachStderr", "Config", true),
  tried("ExposedPorts", async (at) => {
    const id = await at.start({ ExposedPorts: { "80/tcp": {} }, HostConfig: { NetworkMode: "bridge" } });
    assert.deepEqual((await at.inspect(id)).NetworkSettings.Ports, { "80/tcp": null });
  }),
  shown("Tty", { Tty: true }, "test -t 1 && echo terminal", /^terminal\r\n$/),
  shown("OpenStdin", { OpenStdin: true }, "readlink /proc/self/fd/0", /^pipe:/),
  tried("StdinOnce", async (at) => {
    const id = await at.start({ OpenStdin: true, StdinOnce: true }, "cat; echo over");
    const client = at.attach(id).resume();
    client.end("last words\n");
    await once(client, "end");
    assert.equal(await at.log(id), "last words\nover\n");
  }),
  shown("Env", { Env: ["A=1", "B=two words"] }, 'echo "$A $B"', /^1 two words\n$/),
  tried("Cmd", async (at) => assert.equal((await at.run({ Cmd: ["echo", "a b", "c"] }, "")).text, "a b c\n")),
  tried("Healthcheck", async (at) => {
    const id = await at.start({ Healthcheck: { Test: ["CMD", "true"], Interval: 50e6 } });
    await at.until(async () => (await at.inspect(id)).State.Health?.Status === "healthy");
  }),
  missing("ArgsEscaped", "Windows alone has it"),
  tried("Image", async (at) => assert.equal((await at.inspect(await at.create({}))).Config.Image, "busybox")),
  shown("Volumes", { Volumes: { "/data": {} } }, "grep ' /data ' /proc/mounts", / \/data /),
  shown("WorkingDir", { WorkingDir: "/made/for/it" }, "pwd", /^\/made\/for\/it\n$/),
  tried("Entrypoint", async (at) => {
    assert.equal((await at.run({ Entrypoint: ["echo", "entry"], Cmd: ["point"] }, "")).text, "entry point\n");
  }),
  shown(
    "NetworkDisabled",
    { NetworkDisabled: true, HostConfig: { NetworkMode: "default" } },
    "ls /sys/class/net",
    /^lo\n$/,
  ),
  shown(
    "MacAddress",
    { MacAddress: "02:42:ac:11:99:99", HostConfig: { NetworkMode: "bridge" } },
    "cat /sys/class/net/eth0/address",
    /^02:42:ac:11:99:99\n$/,
  ),
  tried("OnBuild", async (at) => {
    const id = await at.create({ OnBuild: ["RUN true"] });
    await at.daemon.call("POST", `/commit?container=${id}&repo=onbuild&tag=1`);
    const { Config } = await at.daemon.call<{ Config: { OnBuild: string[] } }>("GET", "/images/onbuild:1/json");
    await at.daemon.call("DELETE", "/images/onbuild:1");
    assert.deepEqual(Config.OnBuild, ["RUN true"]);
  }),
  tried("Labels", async (at) => {
    const id = await at.create({ Labels: { tier: "front" } });
    const filters = encodeURIComponent(JSON.stringify({ label: ["tier=front"] }));
    const found = await at.daemon.call<{ Id: string }[]>("GET", `/containers/json?all=1&filters=${filters}`);
    assert.deepEqual(
      found.map(({ Id }) => Id),
      [id],
    );
  }),
  tried("StopSignal", async (at) => {
    const id = await at.start({ StopSignal: "USR1" }, "trap 'exit 5' USR1; echo ready; while :; do sleep 0.05; done");
    await at.until(async () => (await at.log(id)) === "ready\n");
    await at.post(id, "stop");
    assert.equal((await at.inspect(id)).State.ExitCode, 5);
  }),
  tried("StopTimeout", async (at) => {
    // Ends by itself before the ten seconds that there are otherwise.
    const id = await at.start(
      { StopTimeout: 1 },
      "trap 'sleep 5; exit 0' TERM; echo ready; while :; do sleep 0.05; done",
    );
    await at.until(async () => (await at.log(id)) === "ready\n");
    await at.post(id, "stop");
    assert.equal((await at.inspect(id)).State.ExitCode, 137);
  }),
  tried("Shell", async (at) => {
    const Healthcheck = { Test: ["CMD-SHELL", "words"], Interval: 50e6 };
    const id = await at.start({ Shell: ["echo", "the shell's"], Healthcheck });
    await at.until(async () => (await at.inspect(id)).State.Health?.Log[0]?.Output === "the shell's words\n");
  }),
];
