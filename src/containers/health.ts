/** Health checks: a command run inside the container every so often; three failures in a row (or as set) make it unhealthy. */
import type { Health, HealthcheckResult } from "../api/types/container.ts";
import { errorMessage } from "../base/errors.ts";
import { millisecondsOf } from "../base/time.ts";
import type { Container } from "./container.ts";
import type { Context } from "./context.ts";
import { actOnUnhealthy } from "./health-action.ts";
import { type Probe, probeOf, runProbe } from "./health-probe.ts";
import { notify } from "./notify.ts";
import { isLive } from "./state.ts";

const KEPT_RESULTS = 5;

/** Begins the checks of a container that has just started; they end with its run. */
export function watchHealth(context: Context, container: Container): void {
  container.stopHealth?.();
  const { config } = container.definition;
  const probe = probeOf(config.Healthcheck, config.Shell);
  const known = container.state.health;
  if (probe === undefined && known === undefined) return;
  const health = probe === undefined ? undefined : { Status: "starting", FailingStreak: 0, Log: known?.Log ?? [] };
  context.registry.change(container, { kind: "health", health });
  if (probe !== undefined) begin(context, container, probe);
}

/** The checks of a container that an earlier engine watched go on. */
export function resumeHealth(context: Context, container: Container): void {
  const { config } = container.definition;
  const probe = probeOf(config.Healthcheck, config.Shell);
  if (probe !== undefined) begin(context, container, probe);
}

function begin(context: Context, container: Container, probe: Probe): void {
  let timer: NodeJS.Timeout;
  let stopped = false;
  const schedule = () => {
    timer = setTimeout(
      async () => {
        await check(context, container, probe, () => stopped).catch((error: unknown) =>
          context.logger.log("error", "a health check failed", { container: container.id, error: errorMessage(error) }),
        );
        if (!stopped) schedule();
      },
      pauseBefore(container, probe),
    );
    timer.unref();
  };
  container.stopHealth = () => {
    stopped = true;
    clearTimeout(timer);
    container.stopHealth = undefined;
  };
  schedule();
}

function pauseBefore({ state }: Container, { interval, startInterval, startPeriod }: Probe): number {
  const starting = state.health?.Status === "starting" && Date.now() - millisecondsOf(state.startedAt) < startPeriod;
  return starting ? Math.min(startInterval, interval) : interval;
}

async function check(context: Context, container: Container, probe: Probe, stopped: () => boolean): Promise<void> {
  if (container.state.status === "paused") return;
  const result = await runProbe(context, container, probe);
  if (stopped() || !isLive(container.state)) return;
  const before = container.state.health;
  const after = judge(before, result, probe, Date.now() - millisecondsOf(container.state.startedAt));
  context.registry.change(container, { kind: "health", health: after });
  if (before?.Status === after.Status) return;
  notify(context, container, `health_status: ${after.Status}`);
  if (after.Status === "unhealthy") actOnUnhealthy(context, container);
}

/** `age`: milliseconds since the start. Failures inside the start period do not count until it was healthy once. */
export function judge(
  before: Health | undefined,
  result: HealthcheckResult,
  { retries, startPeriod }: Pick<Probe, "retries" | "startPeriod">,
  age: number,
): Health {
  const { Status = "starting", FailingStreak = 0, Log = [] } = before ?? {};
  const log = [...Log, result].slice(-KEPT_RESULTS);
  if (result.ExitCode === 0) return { Status: "healthy", FailingStreak: 0, Log: log };
  if (Status === "starting" && age < startPeriod) return { Status, FailingStreak, Log: log };
  const streak = FailingStreak + 1;
  return { Status: streak >= retries ? "unhealthy" : Status, FailingStreak: streak, Log: log };
}
