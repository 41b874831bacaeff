import assert from "node:assert/strict";
import { test } from "node:test";
import { INITIAL_STATE, type State } from "./record.ts";
import { statusText } from "./status-text.ts";

const NOW = Date.parse("2026-01-02T12:00:00Z");
const at = (secondsAgo: number) => new Date(NOW - secondsAgo * 1000).toISOString();
const health = (Status: string) => ({ Status, FailingStreak: 0, Log: [] });

const CASES: readonly [string, Partial<State>][] = [
  ["Created", { status: "created" }],
  ["Up Less than a second", { status: "running", startedAt: at(0) }],
  ["Up 3 minutes", { status: "running", startedAt: at(190) }],
  ["Up About an hour (healthy)", { status: "running", startedAt: at(3700), health: health("healthy") }],
  ["Up 5 seconds (health: starting)", { status: "running", startedAt: at(5), health: health("starting") }],
  ["Up 5 seconds (Paused)", { status: "paused", startedAt: at(5) }],
  ["Exited (0) 2 hours ago", { status: "exited", startedAt: at(9000), finishedAt: at(7300) }],
  ["Exited (137) 3 weeks ago", { status: "exited", exitCode: 137, startedAt: at(1), finishedAt: at(86400 * 22) }],
  ["Restarting (1) 3 seconds ago", { status: "restarting", exitCode: 1, startedAt: at(9), finishedAt: at(3) }],
  ["Removal In Progress", { status: "removing" }],
  ["Dead", { status: "dead" }],
];
for (const [text, state] of CASES)
  test(`says ${JSON.stringify(text)}`, () => {
    assert.equal(statusText({ ...INITIAL_STATE, ...state }, NOW), text);
  });
