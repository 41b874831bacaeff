/** The state machine: which changes are possible from where, and what they make of a state. */
import type { Health } from "../api/types/container.ts";
import { EngineError } from "../base/errors.ts";
import type { ExitRecord } from "../runtime/runtime.ts";
import type { State, Status } from "./record.ts";

export type Change =
  | { readonly kind: "create" }
  | { readonly kind: "start"; readonly pid: number; readonly startedAt: string; readonly restartCount: number }
  | { readonly kind: "fail"; readonly error: string; readonly exitCode: number }
  | { readonly kind: "exit"; readonly record: ExitRecord; readonly restarting: boolean }
  | { readonly kind: "oom" }
  | { readonly kind: "pause" }
  | { readonly kind: "unpause" }
  /** The restart that was due is given up. */
  | { readonly kind: "give-up" }
  | { readonly kind: "stop-by-hand" }
  | { readonly kind: "health"; readonly health: Health | undefined }
  | { readonly kind: "remove"; readonly volumes: boolean }
  | { readonly kind: "die"; readonly error: string };

type Apply<K extends Change["kind"]> = (state: State, change: Extract<Change, { kind: K }>) => Partial<State>;

interface Rule<K extends Change["kind"]> {
  readonly from: readonly Status[];
  readonly apply: Apply<K>;
}

const STARTABLE: readonly Status[] = ["created", "exited", "restarting", "dead"];
const LIVE: readonly Status[] = ["running", "paused"];
const ANY: readonly Status[] = ["creating", "created", "running", "paused", "restarting", "exited", "removing", "dead"];

const RULES: { readonly [K in Change["kind"]]: Rule<K> } = {
  create: { from: ["creating"], apply: () => ({ status: "created" }) },
  start: {
    from: STARTABLE,
    apply: (_, { pid, startedAt, restartCount }) => ({
      status: "running",
      pid,
      startedAt,
      restartCount,
      exitCode: 0,
      error: "",
      oomKilled: false,
      stoppedByHand: false,
    }),
  },
  fail: {
    from: STARTABLE,
    apply: ({ status }, { error, exitCode }) => ({
      status: status === "created" ? "created" : "exited",
      pid: 0,
      error,
      exitCode,
    }),
  },
  exit: {
    // From any but the ones that never ran in this life: a daemon may find the exit of a start it did not see the end of.
    from: ["created", "running", "paused", "exited", "restarting", "removing"],
    apply: ({ status, oomKilled }, { record, restarting }) => ({
      status: status === "removing" ? "removing" : restarting ? "restarting" : "exited",
      pid: 0,
      exitCode: record.exitCode,
      oomKilled: oomKilled || record.oomKilled,
      finishedAt: record.finishedAt,
    }),
  },
  oom: { from: ANY, apply: () => ({ oomKilled: true }) },
  pause: { from: ["running"], apply: () => ({ status: "paused" }) },
  unpause: { from: ["paused"], apply: () => ({ status: "running" }) },
  "give-up": { from: ["restarting"], apply: () => ({ status: "exited" }) },
  "stop-by-hand": { from: ANY, apply: () => ({ stoppedByHand: true }) },
  health: { from: ANY, apply: (_, { health }) => ({ health }) },
  remove: { from: ANY, apply: (_, { volumes }) => ({ status: "removing", removeVolumes: volumes }) },
  die: { from: ["removing"], apply: (_, { error }) => ({ status: "dead", error }) },
};

/** The state after the change. Throws "internal" for one that cannot happen there: callers check first and say it in Docker's words. */
export function next(state: State, change: Change): State {
  const rule = RULES[change.kind] as Rule<Change["kind"]>;
  if (!rule.from.includes(state.status))
    throw new EngineError("internal", `a container that is ${state.status} cannot ${change.kind}`);
  return Object.freeze({ ...state, ...(rule.apply as Apply<Change["kind"]>)(state, change as never) });
}

/** Whether it has a process. */
export function isLive({ status }: State): boolean {
  return LIVE.includes(status);
}

/** As Docker counts: a container between two runs of its restart policy is running. */
export function isRunning({ status }: State): boolean {
  return isLive({ status } as State) || status === "restarting";
}
