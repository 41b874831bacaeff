import { humanDuration } from "../base/human-duration.ts";
import { millisecondsOf, ZERO_TIME } from "../base/time.ts";
import type { State } from "./record.ts";

/** Docker's STATUS column. `now` in milliseconds. */
export function statusText(state: State, now: number): string {
  const since = (time: string) => humanDuration(now - millisecondsOf(time));
  switch (state.status) {
    case "paused":
      return `Up ${since(state.startedAt)} (Paused)`;
    case "restarting":
      return `Restarting (${state.exitCode}) ${since(state.finishedAt)} ago`;
    case "running":
      return `Up ${since(state.startedAt)}${healthSuffix(state)}`;
    case "removing":
      return "Removal In Progress";
    case "dead":
      return "Dead";
    default:
      if (state.startedAt === ZERO_TIME) return "Created";
      if (state.finishedAt === ZERO_TIME) return "";
      return `Exited (${state.exitCode}) ${since(state.finishedAt)} ago`;
  }
}

function healthSuffix({ health }: State): string {
  if (health === undefined || health.Status === "none" || health.Status === "") return "";
  return health.Status === "starting" ? " (health: starting)" : ` (${health.Status})`;
}
