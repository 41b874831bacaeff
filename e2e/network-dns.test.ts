/** Names: what containers of a user-defined network call each other, through real resolvers, and across gantryd's death. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { withEachCli } from "./lib/own-daemon.ts";

withEachCli((cli, daemon) => {
  before(async () => {
    await cli.ok("network", "create", "app");
  });

  const run = (container: string, flags: readonly string[], ...command: string[]) =>
    cli.ok("run", "-d", "--name", container, "--network", "app", ...flags, "busybox", ...command);
  const web = (container: string, ...flags: string[]) =>
    run(container, flags, "sh", "-c", "mkdir /www; hostname > /www/index.html; exec httpd -f -p 80 -h /www");
  const exec = (container: string, ...command: string[]) => cli.ok("exec", container, ...command);
  const addressOf = (container: string) =>
    cli.ok("inspect", "--format", "{{.NetworkSettings.Networks.app.IPAddress}}", container);

  test("a service that is scaled up and down is found under one name, and requests spread", async () => {
    await run("client", [], "sleep", "1000");
    const names = ["one", "two", "three"];
    await Promise.all(names.map((container) => web(container, "--network-alias", "web", "--hostname", container)));
    const seen = async () => {
      const script = "for i in $(seq 40); do wget -qO- http://web/ || echo failed; done";
      return new Set((await exec("client", "sh", "-c", script)).split("\n"));
    };
    // Until all of them listen.
    for (let tries = 0; (await seen()).has("failed"); tries++) if (tries === 20) throw new Error("never up");
    assert.deepEqual([...(await seen())].sort(), ["one", "three", "two"]);
    await cli.ok("rm", "-f", "two");
    assert.deepEqual([...(await seen())].sort(), ["one", "three"]);
    await cli.ok("stop", "-t", "0", "one");
    assert.deepEqual([...(await seen())], ["three"]);
    await cli.ok("rm", "-f", "client", "one", "three");
  });

  test("resolv.conf names our server, the search domains and the options", async () => {
    const conf = (...flags: string[]) => cli.ok("run", "--rm", ...flags, "busybox", "cat", "/etc/resolv.conf");
    const own = await conf("--network", "app", "--dns-search", "corp.test", "--dns-option", "timeout:1");
    assert.deepEqual(own.split("\n").slice(1), [
      "nameserver 127.0.0.11",
      "search corp.test",
      "options timeout:1 ndots:0",
    ]);
    assert.match(await conf("--network", "app", "--dns-opt", "ndots:3"), /options ndots:3$/);
    assert.doesNotMatch(await conf(), /127\.0\.0\.11/);
    assert.match(await conf("--dns", "10.1.2.3"), /nameserver 10\.1\.2\.3/);
  });

  test("names are served through a restart of gantryd, and wait for it", async () => {
    await run("box", [], "sleep", "1000");
    await run("peer", [], "sleep", "1000");
    const address = await addressOf("peer");
    const lookUp = () => exec("box", "nslookup", "peer");
    assert.match(await lookUp(), new RegExp(address));
    await daemon.kill();
    await daemon.start();
    assert.match(await lookUp(), new RegExp(address));
    const waiting = ["sh", "-c", "sleep 1; nslookup peer > /tmp/answer; echo $? >> /tmp/answer"];
    await cli.ok("exec", "-d", "box", ...waiting);
    await daemon.kill();
    await sleep(2000);
    await daemon.start();
    for (let tries = 0; ; tries++) {
      const { code, out } = await cli.run("exec", "box", "tail", "-n", "1", "/tmp/answer");
      if (code === 0 && out !== "") break;
      if (tries === 200) throw new Error("no answer");
      await sleep(100);
    }
    assert.match(await exec("box", "cat", "/tmp/answer"), new RegExp(`${address}[\\s\\S]*\n0$`));
    await cli.ok("rm", "-f", "box", "peer");
  });

  test("who joins a network while running finds its neighbours", async () => {
    await run("peer", ["--network-alias", "friend"], "sleep", "1000");
    await cli.ok("run", "-d", "--name", "late", "busybox", "sleep", "1000");
    assert.doesNotMatch(await exec("late", "cat", "/etc/resolv.conf"), /127\.0\.0\.11/);
    await cli.ok("network", "connect", "app", "late");
    assert.match(await exec("late", "cat", "/etc/resolv.conf"), /127\.0\.0\.11/);
    assert.match(await exec("late", "ping", "-c", "1", "-W", "2", "friend"), /1 packets received/);
    assert.match(await exec("peer", "ping", "-c", "1", "-W", "2", "late"), /1 packets received/);
    await cli.ok("network", "disconnect", "app", "late");
    assert.doesNotMatch(await exec("late", "cat", "/etc/resolv.conf"), /127\.0\.0\.11/);
    await cli.ok("rm", "-f", "late", "peer");
  });
});
