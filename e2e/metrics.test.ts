/** What Prometheus is told of a real engine, and that the dashboard asks for nothing else. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, test } from "node:test";
import { startDaemon } from "../src/testing/daemon.ts";
import { ownDaemon } from "./lib/own-daemon.ts";

const root = process.getuid?.() === 0;
const DASHBOARD = join(import.meta.dirname, "..", "examples", "grafana", "gantry.json");

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

describe("metrics", { skip: root ? false : "needs root" }, () => {
  const daemon = ownDaemon({ flags: ["--metrics-addr", "127.0.0.1:0"] });

  const url = () => /http:\/\/127\.0\.0\.1:\d+\/metrics/.exec(daemon.log())?.[0] ?? "";
  const scrape = async () => {
    const response = await fetch(url());
    assert.equal(response.status, 200);
    assert.match(response.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
    return parse(await response.text());
  };
  const value = (samples: readonly Sample[], name: string, labels: Record<string, string> = {}) =>
    samples.find((one) => one.name === name && Object.entries(labels).every(([key, text]) => one.labels[key] === text))
      ?.value;

  test("containers, their use, their ends, and what the API was asked are counted", async () => {
    const before = await scrape();
    assert.equal(value(before, "gantry_containers", { state: "running" }), 0);
    const create = (name: string, Cmd: string[]) =>
      daemon.call<{ Id: string }>("POST", `/containers/create?name=${name}`, {
        Image: "busybox",
        Cmd,
        HostConfig: { Memory: 64 << 20 },
        Healthcheck: { Test: ["CMD", "true"], Interval: 100_000_000 },
      });
    const { Id } = await create("busy", ["sh", "-c", "while :; do :; done"]);
    await daemon.call("POST", `/containers/${Id}/start`);
    const failing = await create("failing", ["false"]);
    await daemon.call("POST", `/containers/${failing.Id}/start`);
    await daemon.call("POST", `/containers/${failing.Id}/wait`);
    await assert.rejects(daemon.call("GET", "/containers/nothing/json"));
    const late = await until(
      scrape,
      (samples) => (value(samples, "gantry_containers_health", { status: "healthy" }) ?? 0) > 0,
    );

    assert.equal(value(late, "gantry_containers", { state: "running" }), 1);
    assert.equal(value(late, "gantry_containers", { state: "exited" }), 1);
    assert.equal(value(late, "engine_daemon_container_states_containers", { state: "stopped" }), 1);
    assert.equal(value(late, "gantry_container_exits_total", { outcome: "failure" }), 1);
    assert.equal(value(late, "gantry_events_total", { type: "container", action: "start" }), 2);
    assert.equal(value(late, "gantry_container_memory_limit_bytes", { name: "busy" }), 64 << 20);
    assert.ok((value(late, "gantry_container_cpu_seconds_total", { name: "busy" }) ?? 0) > 0);
    assert.ok((value(late, "gantry_container_memory_bytes", { name: "busy" }) ?? 0) > 0);
    assert.ok((value(late, "gantry_container_pids", { name: "busy" }) ?? 0) >= 1);
    assert.equal(value(late, "gantry_container_pids", { name: "failing" }), undefined);
    const start = { route: "/containers/{id}/start" };
    assert.equal(value(late, "gantry_api_requests_total", { ...start, status: "204" }), 2);
    assert.equal(value(late, "gantry_api_request_seconds_count", start), 2);
    assert.equal(value(late, "engine_daemon_container_actions_seconds_count", { action: "start" }), 2);
    assert.equal(value(late, "gantry_api_requests_total", { route: "/containers/{id}/json", status: "404" }), 1);
    const { ServerVersion } = await daemon.call<{ ServerVersion: string }>("GET", "/info");
    assert.equal(value(late, "engine_daemon_engine_info", { version: ServerVersion }), 1);
  });

  test("counters do not go down, buckets add up, and nothing is told twice", async () => {
    const [one, two] = [await scrape(), await scrape()];
    const key = ({ name, labels }: Sample) => name + JSON.stringify(labels);
    assert.equal(new Set(two.map(key)).size, two.length);
    const earlier = new Map(one.map((sample) => [key(sample), sample.value]));
    for (const sample of two)
      if (/_(total|count|bucket|sum)$/.test(sample.name) && !sample.name.includes("subscribers"))
        assert.ok(sample.value >= (earlier.get(key(sample)) ?? 0), key(sample));
    for (const { name, labels, value: count } of two.filter((sample) => sample.name.endsWith("_count"))) {
      const bucket = value(two, name.replace(/_count$/, "_bucket"), { ...labels, le: "+Inf" });
      assert.equal(bucket, count, name);
    }
  });

  test("the dashboard asks for figures that there are, by labels that they have", async () => {
    const samples = await scrape();
    const dashboard = JSON.parse(readFileSync(DASHBOARD, "utf8")) as { panels: { targets?: { expr: string }[] }[] };
    const queries = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
    assert.ok(queries.length > 20);
    const text = await (await fetch(url())).text();
    for (const query of queries) {
      assert.equal(count(query, /[({]/g), count(query, /[)}]/g), query);
      const names = query.match(/\b(?:gantry|engine|process|nodejs)_\w+/g) ?? [];
      assert.ok(names.length > 0, query);
      for (const name of names) {
        const plain = name.replace(/_bucket$/, "");
        assert.match(text, new RegExp(`^# TYPE ${plain} (counter|gauge|histogram)$`, "m"), query);
        const own = samples.filter((sample) => sample.name === name);
        const asked = [...(/\bby \(([^)]*)\)/.exec(query)?.[1] ?? "").split(/, ?/)].filter((label) => label !== "");
        for (const label of own.length > 0 ? asked : [])
          assert.ok(label in (own[0]?.labels ?? {}), `${query}: ${label}`);
      }
    }
  });

  test("other paths and methods are refused, and clients that wait do not stop the daemon", async () => {
    assert.equal((await fetch(url().replace("/metrics", "/"))).status, 404);
    assert.equal((await fetch(url(), { method: "POST" })).status, 405);
    const readings = await Promise.all(Array.from({ length: 20 }, () => fetch(url()).then((answer) => answer.text())));
    for (const text of readings) assert.match(text, /process_open_fds \d+/);
  });

  test("an address that is taken, or is none, ends the start with words that say so", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address() as { port: number };
    try {
      for (const [address, words] of [
        [`127.0.0.1:${port}`, /address already in use/],
        ["nonsense", /invalid metrics-addr .*nonsense/],
      ] as const)
        await assert.rejects(startDaemon({ flags: ["--metrics-addr", address], image: false }), words);
    } finally {
      taken.close();
    }
  });
});

function parse(text: string): Sample[] {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return lines.map((line) => {
    const [, name = "", labels = "", number = ""] =
      /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? assert.fail(line);
    const pairs = labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"(?:,|$)/g);
    const value = number === "+Inf" ? Number.POSITIVE_INFINITY : Number(number);
    assert.ok(!Number.isNaN(value), line);
    return { name, labels: Object.fromEntries([...pairs].map(([, key = "", of = ""]) => [key, of])), value };
  });
}

const count = (text: string, what: RegExp) => text.match(what)?.length ?? 0;

async function until<T>(read: () => Promise<T>, holds: (value: T) => boolean): Promise<T> {
  for (let attempt = 0; attempt < 300; attempt++) {
    const value = await read();
    if (holds(value)) return value;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return assert.fail("it did not become so");
}
