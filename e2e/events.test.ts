/** What happens, told to both CLIs and over the API: every action with what Docker says of it, and every filter. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { collect } from "./lib/cli.ts";
import { withEachCli } from "./lib/own-daemon.ts";

interface Told {
  readonly Type: string;
  readonly Action: string;
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> };
  readonly status?: string;
  readonly id?: string;
  readonly from?: string;
  readonly scope: string;
  readonly time: number;
  readonly timeNano: number;
}

withEachCli((cli, daemon) => {
  /** All that was told between two moments. */
  const between = async (since: number, ...filters: string[]): Promise<Told[]> => {
    const until = (Date.now() / 1000).toFixed(9);
    const words = ["events", "--since", since.toFixed(9), "--until", until, "--format", "json"];
    const text = await cli.ok(...words, ...filters.flatMap((filter) => ["--filter", filter]));
    return text
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Told);
  };
  const now = () => Date.now() / 1000;

  test("a container's life is told in order, with its labels, image and name, and what is special", async () => {
    const since = now();
    const own = ["--name", "told", "-l", "tier=front", "-v", "box:/box", "--network", "none", "busybox"];
    const id = await cli.ok("run", "-d", ...own, "sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.1; done");
    await cli.ok("exec", "told", "true");
    await cli.ok("pause", "told");
    await cli.ok("unpause", "told");
    await cli.ok("top", "told");
    await cli.ok("update", "--restart", "no", "told");
    await cli.ok("rename", "told", "retold");
    await cli.ok("kill", "-s", "WINCH", "retold");
    await cli.ok("export", "-o", `${daemon.folder}/out.tar`, "retold");
    await cli.ok("cp", "retold:/etc/passwd", `${daemon.folder}/passwd`);
    await cli.ok("cp", `${daemon.folder}/passwd`, "retold:/tmp");
    await cli.ok("stop", "retold");
    await cli.ok("start", "retold");
    await cli.ok("restart", "-t", "5", "retold");
    await cli.ok("rm", "-f", "retold");
    const all = await between(since);
    const of = (type: string) => all.filter((event) => event.Type === type);
    const container = of("container").filter(({ Actor }) => Actor.ID === id);
    const actions = container.map(({ Action }) => Action);
    const order =
      "create start exec_create exec_start exec_die pause unpause top update rename kill export archive-path extract-to-dir kill die stop start kill die stop start restart kill die destroy";
    // Two things that happen side by side may be told in either order: nothing here does.
    const short = actions.map((action) => action.split(":")[0]).filter((action) => action !== "attach");
    assert.deepEqual(short, order.split(" "));
    assert.ok(actions.includes("exec_start: true"));
    for (const { Actor, status, from, scope, time, timeNano, ...event } of container) {
      const { image, tier } = Actor.Attributes;
      assert.deepEqual([image, tier, from, scope, event.id], ["busybox", "front", "busybox", "local", id]);
      assert.equal(status, event.Action);
      assert.equal(Math.floor(timeNano / 1e9), time);
    }
    const first = (action: string) => container.find(({ Action }) => Action.startsWith(action))?.Actor.Attributes ?? {};
    assert.equal(first("start").name, "told");
    assert.deepEqual([first("rename").oldName, first("rename").name], ["/told", "retold"]);
    assert.equal(first("kill").signal, "28");
    assert.equal(first("die").exitCode, "3");
    assert.match(first("die").execDuration ?? "", /^\d+$/);
    assert.match(first("exec_create").execID ?? "", /^[0-9a-f]{64}$/);
    assert.equal(first("exec_die").exitCode, "0");
    const volume = of("volume").map(({ Action, Actor }) => [Action, Actor.ID]);
    assert.deepEqual(volume, [
      ["create", "box"],
      ...Array.from({ length: 3 }, () => [
        ["mount", "box"],
        ["unmount", "box"],
      ]).flat(),
    ]);
    const { Attributes } = of("volume").find(({ Action }) => Action === "mount")?.Actor ?? { Attributes: {} };
    assert.deepEqual(Attributes, {
      container: id,
      destination: "/box",
      driver: "local",
      propagation: "",
      "read/write": "true",
    });
    assert.deepEqual(
      of("network").map(({ Action, Actor }) => [Action, Actor.Attributes.name]),
      Array.from({ length: 3 }, () => [
        ["connect", "none"],
        ["disconnect", "none"],
      ]).flat(),
    );
  });

  test("filters: values of one are alternatives, different ones must all hold", async () => {
    const since = now();
    for (const one of ["aa", "bb"]) await cli.ok("run", "--name", one, "-l", `which=${one}`, "busybox", "true");
    const actions = async (...filters: string[]) =>
      (await between(since, ...filters)).map((e) => `${e.Actor.Attributes.name} ${e.Action}`);
    assert.deepEqual(await actions("event=die"), ["aa die", "bb die"]);
    assert.deepEqual(await actions("event=die", "container=aa"), ["aa die"]);
    assert.deepEqual(await actions("event=die", "container=aa", "container=bb"), ["aa die", "bb die"]);
    assert.deepEqual(await actions("event=die", "label=which=bb"), ["bb die"]);
    assert.deepEqual(await actions("event=die", "label=which"), ["aa die", "bb die"]);
    assert.deepEqual(await actions("event=start", "image=busybox", "type=container"), ["aa start", "bb start"]);
    assert.deepEqual(await actions("event=start", "image=busybox:latest"), []);
    assert.deepEqual(await actions("scope=swarm"), []);
    assert.deepEqual(await actions("type=volume"), []);
    assert.deepEqual(await actions("service=x"), []);
    assert.match((await cli.run("events", "--filter", "colour=red")).err, /invalid filter 'colour'/);
    await cli.ok("rm", "aa", "bb");
  });

  test("a watcher hears of the past and then of what comes, and ends when it is told to", async () => {
    const since = now();
    await cli.ok("create", "--name", "early", "busybox");
    const child = cli.spawn([
      "events",
      "--since",
      since.toFixed(9),
      "--filter",
      "container=early",
      "--format",
      "{{.Action}}",
    ]);
    const result = collect(child);
    const heard: Buffer[] = [];
    child.stdout?.on("data", (bytes: Buffer) => heard.push(bytes));
    const until = async (text: string) => {
      while (!Buffer.concat(heard).toString().includes(text)) await once(child.stdout ?? child, "data");
    };
    await until("create\n");
    await cli.ok("rm", "early");
    await until("destroy\n");
    child.kill("SIGINT");
    assert.equal((await result).out, "create\ndestroy");
  });

  test("prunes are told with what they freed, and a restart of the daemon forgets nothing", async () => {
    const since = now();
    await cli.ok("run", "--name", "full", "busybox", "sh", "-c", "head -c 100000 /dev/zero > /file");
    await cli.ok("container", "prune", "-f");
    await cli.ok("volume", "prune", "-f");
    await cli.ok("network", "prune", "-f");
    await cli.ok("image", "prune", "-f");
    await daemon.kill();
    await daemon.start();
    const told = (await between(since, "event=prune")).map(({ Type, Actor }) => [
      Type,
      Number(Actor.Attributes.reclaimed) > 0,
    ]);
    assert.deepEqual(told, [
      ["container", true],
      ["volume", false],
      ["network", false],
      ["image", false],
    ]);
  });

  test("a watcher that never reads holds up nobody", async () => {
    const child = cli.spawn(["events"]);
    await sleep(300);
    child.kill("SIGSTOP");
    const { Id } = await daemon.call<{ Id: string }>("POST", "/containers/create", {
      Image: "busybox",
      Labels: { filler: "x".repeat(4000) },
    });
    for (let i = 0; i < 1500; i++) await daemon.call("POST", `/containers/${Id}/rename?name=renamed-${i}`);
    assert.equal(await cli.ok("ps", "-aq", "--filter", "name=renamed-1499", "--no-trunc"), Id);
    child.kill("SIGKILL");
    await daemon.call("DELETE", `/containers/${Id}`);
  });
});
