/** Starts this machine's daemon when it does not run: detached, with a log, waited for until its socket answers. */
import { spawn } from "node:child_process";
import { mkdirSync, openSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { EngineError } from "../base/errors.ts";
import { DEFAULT_HOST } from "../client/host.ts";
import type { Environment } from "./context.ts";

const SOCKET = DEFAULT_HOST.slice("unix://".length);
const LOG_FOLDER = "/var/log/gantry";
const WAIT_MS = 10_000;
const LOG_LINES = 10;

/** Resolves when the socket answers. "unavailable" with the end of the log when it does not come up. */
export async function startDaemon(env: Environment): Promise<void> {
  mkdirSync(LOG_FOLDER, { recursive: true, mode: 0o750 });
  const log = join(LOG_FOLDER, "gantryd.log");
  const fd = openSync(log, "a", 0o640);
  const before = readFileSync(log).length;
  const program = join(import.meta.dirname, "..", "..", "bin", "gantryd");
  const { PATH } = env;
  const child = spawn(program, [], { detached: true, stdio: ["ignore", fd, fd], env: { PATH }, cwd: "/" });
  let ended: string | undefined;
  child.once("error", (error) => {
    ended = error.message;
  });
  child.once("exit", (code, signal) => {
    ended = `it ended with ${signal ?? `exit code ${code}`}`;
  });
  child.unref();
  const deadline = performance.now() + WAIT_MS;
  while (!(await answers(SOCKET))) {
    if ((ended !== undefined && !anotherStarts()) || performance.now() > deadline)
      throw failure(log, before, ended ?? "it does not answer");
    await sleep(20);
  }
}

/** Whether ours gave way to one that another command started at the same time. */
function anotherStarts(): boolean {
  try {
    return process.kill(Number(readFileSync(join(dirname(SOCKET), "gantry.pid"), "utf8")), 0);
  } catch {
    return false;
  }
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", () => settle(true));
    socket.once("error", () => settle(false));
  });
}

function failure(log: string, from: number, why: string): EngineError {
  const lines = readFileSync(log).subarray(from).toString("utf8").trim().split("\n").slice(-LOG_LINES);
  return new EngineError("unavailable", `the daemon could not be started: ${why}\n${lines.join("\n")}`.trim(), {
    hint: `Its log is ${log}. To see it start, run: gantry daemon`,
  });
}
