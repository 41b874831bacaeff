import assert from "node:assert/strict";
import { test } from "node:test";
import { nextDelay, wantsRestart, wantsStartWithEngine } from "./restart-policy.ts";

const policy = (Name: string, MaximumRetryCount = 0) => ({ RestartPolicy: { Name, MaximumRetryCount } });
const run = { exitCode: 0, restartCount: 0, stoppedByHand: false };

test("policies start again what ended by itself", () => {
  assert.equal(wantsRestart(policy("no"), { ...run, exitCode: 1 }), false);
  assert.equal(wantsRestart(policy("always"), run), true);
  assert.equal(wantsRestart(policy("unless-stopped"), run), true);
  assert.equal(wantsRestart(policy("always"), { ...run, stoppedByHand: true }), false);
});

test("on-failure counts", () => {
  assert.equal(wantsRestart(policy("on-failure"), run), false);
  assert.equal(wantsRestart(policy("on-failure", 2), { ...run, exitCode: 1, restartCount: 1 }), true);
  assert.equal(wantsRestart(policy("on-failure", 2), { ...run, exitCode: 1, restartCount: 2 }), false);
});

test("with the engine, always starts what was stopped by hand too", () => {
  const stopped = { ...run, stoppedByHand: true };
  assert.equal(wantsStartWithEngine(policy("always"), stopped), true);
  assert.equal(wantsStartWithEngine(policy("unless-stopped"), stopped), false);
});

test("delays double up to a minute, and begin anew after a good run", () => {
  assert.equal(nextDelay(0, 0), 100);
  assert.equal(nextDelay(100, 0), 200);
  assert.equal(nextDelay(51_200, 0), 60_000);
  assert.equal(nextDelay(51_200, 10_000), 100);
});
