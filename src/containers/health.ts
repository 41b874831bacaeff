/** Health checks: a command run inside every so often; its exit code says how the container is. */
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Health, HealthConfig, HealthcheckResult } from "../api/types/container.ts";
import { errorMessage } from "../base/errors.ts";
import { newId } from "../base/ids.ts";
import { timestamp } from "../base/time.ts";
import { buildExecProcess } from "../runtime/process.ts";
import type { Spec } from "../runtime/spec-types.ts";
import type { Container } from "./container.ts";
import type { Context } from "./context.ts";
import { notify } from "./notify.ts";

/** Nanoseconds, as in the configuration; Docker's defaults. */
const DEFAULTS = { Interval: 30e9, Timeout: 30e9, Retries: 3, StartPeriod: 0, StartInterval: 5e9 };
const KEPT_RESULTS = 5;
const KEPT_OUTPUT = 4096;

/** Begins to check a container that runs; ends by itself with the run. No effect without a check. */
export function watchHealth(context: Context, container: Container): void {
  container.stopHealth?.();
  const { Healthcheck } = container.definition.config;
  const command = healthCommand(Healthcheck);
  if (Healthcheck === undefined || command === undefined) return;
  const watch = new HealthWatch(context, container, Healthcheck, command);
  container.stopHealth = () => watch.stop();
  watch.start();
}

function healthCommand(check: HealthConfig | null | undefined): string[] | undefined {
  const [kind, ...words] = check?.Test ?? [];
  if (kind === "CMD") return words;
  return kind === "CMD-SHELL" ? ["/bin/sh", "-c", words.join(" ")] : undefined;
}

class HealthWatch {
  readonly #context: Context;
  readonly #container: Container;
  readonly #check: Required<Omit<HealthConfig, "Test">>;
  readonly #command: readonly string[];
  readonly #startedAt = Date.now();
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(context: Context, container: Container, check: HealthConfig, command: readonly string[]) {
    this.#context = context;
    this.#container = container;
    const given = Object.fromEntries(Object.entries(check).filter(([, value]) => value));
    this.#check = { ...DEFAULTS, ...given } as Required<Omit<HealthConfig, "Test">>;
    this.#command = command;
  }

  start(): void {
    const { health } = this.#container.state;
    this.#save({ Status: "starting", FailingStreak: 0, Log: health?.Log ?? [] });
    this.#schedule();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#container.stopHealth = undefined;
  }

  get #starting(): boolean {
    const { StartPeriod = 0 } = this.#check;
    return this.#container.state.health?.Status === "starting" && Date.now() - this.#startedAt < StartPeriod / 1e6;
  }

  #schedule(): void {
    const { Interval = 0, StartInterval = 0 } = this.#check;
    const wait = this.#starting ? StartInterval : Interval;
    this.#timer = setTimeout(() => void this.#probe(), wait / 1e6);
    this.#timer.unref();
  }

  async #probe(): Promise<void> {
    const { status } = this.#container.state;
    if (status !== "paused") {
      const result = await this.#run();
      if (this.#stopped || this.#context.closing()) return;
      this.#judge(result);
    }
    if (!this.#stopped) this.#schedule();
  }

  #judge(result: HealthcheckResult): void {
    const before = this.#container.state.health ?? { Status: "starting", FailingStreak: 0, Log: [] };
    const healthy = result.ExitCode === 0;
    const forgiven = !healthy && this.#starting;
    const streak = healthy ? 0 : forgiven ? before.FailingStreak : before.FailingStreak + 1;
    const { Retries = 0 } = this.#check;
    const status = healthy ? "healthy" : streak >= Retries ? "unhealthy" : before.Status;
    this.#save({ Status: status, FailingStreak: streak, Log: [...before.Log, result].slice(-KEPT_RESULTS) });
    if (status !== before.Status) notify(this.#context, this.#container, `health_status: ${status}`);
  }

  #save(health: Health): void {
    if (this.#context.registry.has(this.#container.id))
      this.#context.registry.change(this.#container, { kind: "health", health });
  }

  async #run(): Promise<HealthcheckResult> {
    const { runtime, paths } = this.#context;
    const { id } = this.#container;
    const execId = newId();
    const bundle = paths.exec(execId);
    const Start = timestamp();
    let output = "";
    try {
      const spec = JSON.parse(readFileSync(join(paths.bundle(id), "config.json"), "utf8")) as Spec;
      mkdirSync(bundle, { recursive: true, mode: 0o711 });
      const task = await runtime.exec({
        execId,
        containerId: id,
        containerBundle: paths.bundle(id),
        bundle,
        process: buildExecProcess({
          container: spec.process,
          args: this.#command,
          tty: false,
          privileged: false,
          availableCapabilities: [],
        }),
        terminal: true,
        stdin: false,
        hold: true,
      });
      const stream = await task.attach({});
      task.proceed();
      stream.output.on("data", (chunk: Buffer) => {
        if (output.length < KEPT_OUTPUT) output = (output + chunk.toString()).slice(0, KEPT_OUTPUT);
      });
      const timer = setTimeout(() => void task.kill(9).catch(() => {}), (this.#check.Timeout ?? 0) / 1e6);
      const started = Date.now();
      const { exitCode } = await task.exited;
      clearTimeout(timer);
      await task.released;
      const late = Date.now() - started >= (this.#check.Timeout ?? 0) / 1e6;
      if (late)
        return {
          Start,
          End: timestamp(),
          ExitCode: -1,
          Output: `Health check exceeded timeout (${(this.#check.Timeout ?? 0) / 1e9}s): ${output}`,
        };
      return { Start, End: timestamp(), ExitCode: exitCode, Output: output.replaceAll("\r\n", "\n") };
    } catch (error) {
      return { Start, End: timestamp(), ExitCode: -1, Output: errorMessage(error) };
    } finally {
      rmSync(bundle, { recursive: true, force: true });
    }
  }
}
