import assert from "node:assert/strict";
import { test } from "node:test";
import { INITIAL_STATE, type State, type Status } from "./record.ts";
import { type Change, next } from "./state.ts";

const record = { exitCode: 3, oomKilled: false, finishedAt: "2026-01-01T00:00:00Z" };
const start: Change = { kind: "start", pid: 7, startedAt: "2026-01-01T00:00:00Z", restartCount: 1 };
const inState = (status: Status, more: Partial<State> = {}): State => ({ ...INITIAL_STATE, status, ...more });

test("a run begins and ends", () => {
  const running = next(inState("created", { error: "once", exitCode: 9, stoppedByHand: true }), start);
  assert.deepEqual(
    [running.status, running.pid, running.error, running.exitCode, running.stoppedByHand, running.restartCount],
    ["running", 7, "", 0, false, 1],
  );
  const ended = next(running, { kind: "exit", record, restarting: false });
  assert.deepEqual([ended.status, ended.pid, ended.exitCode, ended.finishedAt], ["exited", 0, 3, record.finishedAt]);
});

test("a failed start keeps a new container created, and an old one exited", () => {
  const fail: Change = { kind: "fail", error: "no", exitCode: 127 };
  assert.equal(next(inState("created"), fail).status, "created");
  assert.equal(next(inState("restarting"), fail).status, "exited");
});

test("an exit does not bring a container back that is being removed", () => {
  assert.equal(next(inState("removing"), { kind: "exit", record, restarting: true }).status, "removing");
});

test("what cannot happen is refused", () => {
  assert.throws(() => next(inState("exited"), { kind: "pause" }), { kind: "internal" });
  assert.throws(() => next(inState("running"), start), { kind: "internal" });
});
