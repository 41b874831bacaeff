/** `--link`: by /etc/hosts and variables on the default bridge, by aliases of the endpoint on networks of the user's. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { withEachCli } from "./lib/own-daemon.ts";

withEachCli((cli, daemon) => {
  const run = (container: string, ...flags: string[]) =>
    cli.ok("run", "-d", "--name", container, ...flags, "busybox", "sleep", "1000");
  const addressOf = (container: string) =>
    cli.ok("inspect", "--format", "{{.NetworkSettings.Networks.bridge.IPAddress}}", container);

  test("on the default bridge the other container is known by its alias and by variables", async () => {
    const id = await run("db", "--expose", "5432", "--expose", "53/udp", "-e", "USER=me", "-e", "A=b=c");
    await run("web-1", "--link", "db:my-db", "-e", "MY_DB_ENV_USER=mine");
    const address = await addressOf("db");
    const hosts = () => cli.ok("exec", "web-1", "cat", "/etc/hosts");
    assert.match(await hosts(), new RegExp(`^${address}\tmy-db ${id.slice(0, 12)} db$`, "m"));
    await cli.ok("exec", "web-1", "ping", "-c", "1", "my-db");
    const variables = (await cli.ok("exec", "web-1", "env")).split("\n").filter((line) => line.startsWith("MY_DB"));
    assert.deepEqual(variables.sort(), [
      "MY_DB_ENV_A=b=c",
      "MY_DB_ENV_USER=mine",
      "MY_DB_NAME=/web-1/my-db",
      `MY_DB_PORT=udp://${address}:53`,
      `MY_DB_PORT_53_UDP=udp://${address}:53`,
      `MY_DB_PORT_53_UDP_ADDR=${address}`,
      "MY_DB_PORT_53_UDP_PORT=53",
      "MY_DB_PORT_53_UDP_PROTO=udp",
      `MY_DB_PORT_5432_TCP=tcp://${address}:5432`,
      `MY_DB_PORT_5432_TCP_ADDR=${address}`,
      "MY_DB_PORT_5432_TCP_PORT=5432",
      "MY_DB_PORT_5432_TCP_PROTO=tcp",
    ]);
    assert.equal(await cli.ok("inspect", "--format", "{{json .HostConfig.Links}}", "web-1"), '["/db:/web-1/my-db"]');
    await cli.ok("stop", "-t", "0", "db");
    await run("taker");
    await cli.ok("start", "db");
    const now = await addressOf("db");
    assert.notEqual(now, address);
    assert.match(await hosts(), new RegExp(`^${now}\tmy-db ${id.slice(0, 12)} db$`, "m"));
    assert.doesNotMatch(await hosts(), new RegExp(`^${address}\t`, "m"));
    await cli.ok("rm", "-f", "web-1", "db", "taker");
  });

  test("ports in a row are told by their first and last", async () => {
    await run("db", ...["8000-8002", "9000-9001", "8003/udp"].flatMap((port) => ["--expose", port]));
    await run("web", "--link", "db");
    const address = await addressOf("db");
    const lines = (await cli.ok("exec", "web", "env")).split("\n");
    assert.deepEqual(lines.filter((line) => /_(START|END)=|^DB_PORT=/.test(line)).sort(), [
      `DB_PORT=tcp://${address}:8000`,
      `DB_PORT_8000_TCP_END=tcp://${address}:8002`,
      "DB_PORT_8000_TCP_PORT_END=8002",
      "DB_PORT_8000_TCP_PORT_START=8000",
      `DB_PORT_8000_TCP_START=tcp://${address}:8000`,
    ]);
    assert.ok(lines.includes("DB_PORT_8001_TCP_PORT=8001") && lines.includes("DB_PORT_8003_UDP_PROTO=udp"));
    await cli.ok("rm", "-f", "web", "db");
  });

  test("a link is a name of its target's, and can be removed alone", async () => {
    await run("db");
    await run("web", "--link", "db:store", "--link", "db:cache");
    const names = async () =>
      (await daemon.call<{ Names: string[] }[]>("GET", "/containers/json")).map(({ Names }) => Names.toSorted());
    assert.deepEqual(await names(), [["/web"], ["/db", "/web/cache", "/web/store"]]);
    const hosts = () => cli.ok("exec", "web", "cat", "/etc/hosts");
    assert.match(await hosts(), /\tstore /);
    await cli.ok("rm", "--link", "web/store");
    assert.doesNotMatch(await hosts(), /\tstore /);
    assert.match(await hosts(), /\tcache /);
    const links = () => cli.ok("inspect", "--format", "{{json .HostConfig.Links}}", "web");
    assert.equal(await links(), '["/db:/web/cache"]');
    assert.deepEqual(await names(), [["/web"], ["/db", "/web/cache"]]);
    for (const [reference, message] of [
      ["web/store", /No such container: web\/store/],
      ["nobody/store", /No such container: nobody\/store/],
      ["nobody", /No such container: nobody/],
      ["db", /Conflict, cannot remove the default link name of the container/],
    ] as const) {
      const { code, err } = await cli.run("rm", "--link", reference);
      assert.notEqual(code, 0);
      assert.match(err, message);
    }
    await daemon.kill();
    await daemon.start();
    assert.deepEqual(await names(), [["/web"], ["/db", "/web/cache"]]);
    await cli.ok("restart", "-t", "0", "web");
    assert.doesNotMatch(await cli.ok("exec", "web", "env"), /STORE/);
    await cli.ok("rm", "-f", "web", "db");
  });

  test("who joins another's network comes up with the daemon after it, and is alone when that starts again, as in Docker", async () => {
    const containers = ["joined", "far", "owner"];
    const policy = ["--restart", "always"];
    await run("owner", ...policy);
    await run("joined", ...policy, "--network", "container:owner");
    await run("far", ...policy, "--network", "container:joined", "--pid", "container:joined");
    const inspect = (format: string) => cli.ok("inspect", "--format", format, ...containers);
    const pids = (await inspect("{{.State.Pid}}")).split("\n").map(Number);
    await daemon.kill();
    for (const pid of pids) process.kill(pid, "SIGKILL");
    await daemon.start();
    const deadline = Date.now() + 20_000;
    while ((await inspect("{{.State.Status}}")) !== "running\nrunning\nrunning") {
      assert.ok(Date.now() < deadline, await inspect("{{.State.Status}} {{.State.Error}}"));
      await sleep(50);
    }
    const netns = async (name: string) => (await cli.ok("exec", name, "readlink", "/proc/self/ns/net")).trim();
    assert.equal(await netns("joined"), await netns("owner"));
    assert.equal(await netns("far"), await netns("owner"));
    await cli.ok("restart", "-t", "0", "owner");
    assert.notEqual(await netns("joined"), await netns("owner"));
    assert.doesNotMatch(await cli.ok("exec", "joined", "ip", "-o", "link"), /eth0.*LOWER_UP/);
    await cli.ok("restart", "-t", "0", "joined");
    assert.equal(await netns("joined"), await netns("owner"));
    await cli.ok("exec", "joined", "ip", "-o", "link", "show", "eth0");
    await cli.ok("rm", "-f", ...containers);
  });

  test("what is linked comes up with the daemon after what it is linked to, whose start no /etc/hosts of others hinders", async () => {
    const containers = ["db", "web", "front"];
    const policy = ["--restart", "always"];
    await run("db", ...policy);
    await run("web", ...policy, "--link", "db");
    await run("front", ...policy, "--link", "web");
    const inspect = (format: string) => cli.ok("inspect", "--format", format, ...containers);
    const allRun = async () => {
      const deadline = Date.now() + 20_000;
      while ((await inspect("{{.State.Status}}")) !== "running\nrunning\nrunning") {
        assert.ok(Date.now() < deadline, await inspect("{{.State.Status}} {{.State.Error}}"));
        await sleep(50);
      }
    };
    const pids = (await inspect("{{.State.Pid}}")).split("\n").map(Number);
    await daemon.kill();
    for (const pid of pids) process.kill(pid, "SIGKILL");
    await daemon.start();
    await allRun();
    await cli.ok("stop", "-t", "0", ...containers);
    await daemon.kill("SIGTERM");
    await daemon.start();
    await allRun();
    await cli.ok("exec", "front", "ping", "-c", "1", "web");
    await cli.ok("exec", "web", "truncate", "-s", "8G", "/etc/hosts");
    await cli.ok("restart", "-t", "0", "db");
    assert.match(daemon.log(), /hosts could not be brought up to date/);
    await cli.ok("rm", "-f", ...containers);
  });

  test("a link to nobody, or to one that does not run, is refused", async () => {
    const refused = async (message: RegExp, ...args: string[]) => {
      const { code, err } = await cli.run(...args);
      assert.notEqual(code, 0);
      assert.match(err, message);
    };
    const create = ["create", "--name", "web"];
    await refused(
      /could not get container for nobody: No such container: nobody/,
      ...create,
      "--link",
      "nobody",
      "busybox",
    );
    await cli.ok("create", "--name", "db", "busybox", "sleep", "1000");
    await cli.ok(...create, "--link", "db", "busybox", "true");
    await refused(/Cannot link to a non running container: \/db AS \/web\/db/, "start", "web");
    await cli.ok("rm", "-f", "db");
    await cli.ok("start", "-a", "web");
    await cli.ok("rm", "-f", "web");
  });

  test("on a network of the user's it is an alias that the linking container alone knows", async () => {
    await cli.ok("network", "create", "app");
    await run("db", "--network", "app");
    await run("web", "--network", "app", "--link", "db:database");
    await run("other", "--network", "app");
    await cli.ok("exec", "web", "ping", "-c", "1", "database");
    assert.notEqual((await cli.run("exec", "other", "nslookup", "database")).code, 0);
    await cli.ok("network", "disconnect", "app", "other");
    await cli.ok("network", "connect", "--link", "db:store", "app", "other");
    await cli.ok("exec", "other", "ping", "-c", "1", "store");
    assert.doesNotMatch(await cli.ok("exec", "web", "env"), /DATABASE/);
    await cli.ok("rm", "-f", "web", "db", "other");
    await cli.ok("network", "rm", "app");
  });
});
