import type { HostConfig } from "../api/types/container.ts";

const FIRST_DELAY = 100;
const LONGEST_DELAY = 60_000;
/** A run of this length counts as a success: the delays begin anew. Milliseconds. */
const GOOD_RUN = 10_000;

export interface EndedRun {
  readonly exitCode: number;
  /** Restarts so far since the last start by hand. */
  readonly restartCount: number;
  readonly stoppedByHand: boolean;
}

/** Whether the policy starts a container again after its exit. */
export function wantsRestart(
  { RestartPolicy }: HostConfig,
  { exitCode, restartCount, stoppedByHand }: EndedRun,
): boolean {
  if (stoppedByHand) return false;
  const { Name = "no", MaximumRetryCount = 0 } = RestartPolicy ?? {};
  if (Name === "on-failure") return exitCode !== 0 && (MaximumRetryCount === 0 || restartCount < MaximumRetryCount);
  return Name === "always" || Name === "unless-stopped";
}

/** Whether it is started when the engine starts: `always` even if it was stopped by hand. */
export function wantsStartWithEngine(hostConfig: HostConfig, run: EndedRun): boolean {
  return hostConfig.RestartPolicy?.Name === "always" || wantsRestart(hostConfig, run);
}

/** Milliseconds before the next restart: twice the last ones, up to a minute. */
export function nextDelay(last: number, runLength: number): number {
  if (last === 0 || runLength >= GOOD_RUN) return FIRST_DELAY;
  return Math.min(last * 2, LONGEST_DELAY);
}
