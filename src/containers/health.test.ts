import assert from "node:assert/strict";
import { test } from "node:test";
import { judge } from "./health.ts";
import { probeOf } from "./health-probe.ts";

const result = (ExitCode: number) => ({ Start: "", End: "", ExitCode, Output: "" });
const probe = { retries: 2, startPeriod: 1000 };

test("failures in a row make it unhealthy, one success healthy", () => {
  let health = judge(undefined, result(1), probe, 5000);
  assert.deepEqual([health.Status, health.FailingStreak], ["starting", 1]);
  health = judge(health, result(1), probe, 6000);
  assert.deepEqual([health.Status, health.FailingStreak], ["unhealthy", 2]);
  health = judge(health, result(0), probe, 7000);
  assert.deepEqual([health.Status, health.FailingStreak], ["healthy", 0]);
});

test("failures in the start period do not count, until it was healthy once", () => {
  assert.equal(judge(undefined, result(1), probe, 500).FailingStreak, 0);
  const healthy = judge(undefined, result(0), probe, 100);
  assert.equal(judge(healthy, result(1), probe, 500).FailingStreak, 1);
});

test("the last five results are kept", () => {
  let health = judge(undefined, result(0), probe, 0);
  for (let i = 1; i < 8; i++) health = judge(health, result(i), probe, 0);
  assert.deepEqual(
    health.Log.map(({ ExitCode }) => ExitCode),
    [3, 4, 5, 6, 7],
  );
});

test("the forms of a check", () => {
  assert.equal(probeOf(undefined, null), undefined);
  assert.equal(probeOf({ Test: ["NONE"] }, null), undefined);
  assert.deepEqual(probeOf({ Test: ["CMD", "a", "b"] }, null)?.command, ["a", "b"]);
  assert.deepEqual(probeOf({ Test: ["CMD-SHELL", "a b"] }, null)?.command, ["/bin/sh", "-c", "a b"]);
  assert.deepEqual(probeOf({ Test: ["CMD-SHELL", "a"] }, ["/bin/bash", "-c"])?.command, ["/bin/bash", "-c", "a"]);
  assert.deepEqual(
    [probeOf({ Test: ["CMD", "a"], Interval: 2e9 }, null)].map((p) => [p?.interval, p?.timeout, p?.retries]),
    [[2000, 30_000, 3]],
  );
});
