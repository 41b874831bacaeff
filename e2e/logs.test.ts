/** Log drivers and their options, with the real docker CLI and with gantry: both must give the same. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { withEachCli } from "./lib/own-daemon.ts";

withEachCli((cli, daemon) => {
  const options = (...values: string[]) => values.flatMap((value) => ["--log-opt", value]);

  test("labels, variables and a tag are in every line, and --details shows them", async () => {
    const log = options("labels=tier", "env-regex=^REG", "tag={{.ImageName}}/{{.Name}}");
    const subject = ["--name", "told", "--label", "tier=front", "-e", "REGION=eu", "-e", "SECRET=no"];
    await cli.ok("run", ...subject, ...log, "busybox", "echo", "hello");
    const path = await cli.ok("inspect", "-f", "{{.LogPath}}", "told");
    const { attrs, stream } = JSON.parse(readFileSync(path, "utf8"));
    assert.deepEqual([attrs, stream], [{ REGION: "eu", tag: "busybox/told", tier: "front" }, "stdout"]);
    assert.equal(await cli.ok("logs", "told"), "hello");
    assert.equal(await cli.ok("logs", "--details", "told"), "REGION=eu,tag=busybox%2Ftold,tier=front hello");
    assert.match(
      await cli.ok("logs", "--details", "-t", "told"),
      /^\S+Z REGION=eu,tag=busybox%2Ftold,tier=front hello$/,
    );
    await cli.ok("rm", "told");
    const refused = await cli.run("run", "--rm", ...options("tag={{.Nothing}}"), "busybox", "true");
    assert.equal(refused.code, 125);
    assert.match(refused.err, /invalid log opt tag: /);
  });

  test("syslog gets every line, also what was written while the daemon was dead, and logs reads them back", async (t) => {
    const received: string[] = [];
    const server = createServer((socket) =>
      socket.on("error", () => {}).on("data", (bytes) => received.push(String(bytes))),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.after(() => server.close());
    const { port } = server.address() as AddressInfo;
    const lines = () => [...received.join("").matchAll(/ talker\[\d+\]: (\d+)\n/g)].map((match) => Number(match[1]));
    const script = "i=0; while [ $i -lt 300 ]; do echo $i; i=$((i+1)); sleep 0.01; done";
    const log = ["--log-driver", "syslog", ...options(`syslog-address=tcp://127.0.0.1:${port}`, "tag={{.Name}}")];
    await cli.ok("run", "-d", "--name", "talker", ...log, "busybox", "sh", "-c", script);
    await until(() => lines().length > 20);
    await daemon.kill();
    await sleep(500);
    await daemon.start();
    await until(() => new Set(lines()).size === 300);
    assert.deepEqual(
      [...new Set(lines())],
      Array.from({ length: 300 }, (_, i) => i),
    );
    assert.equal((await cli.ok("logs", "talker")).split("\n").length, 300);
    assert.equal(await cli.ok("inspect", "-f", "{{.HostConfig.LogConfig.Type}} {{.LogPath}}", "talker"), "syslog ");
    await cli.ok("rm", "-f", "talker");
    assert.match(await cli.ok("info", "-f", "{{.Plugins.Log}}"), /fluentd gelf journald json-file local none syslog/);
  });
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(20);
}
