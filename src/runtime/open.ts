import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Resources } from "../api/types/container.ts";
import { EngineError, errnoOf, errorMessage } from "../base/errors.ts";
import { type Logger, silentLogger } from "../base/log.ts";
import { type CgroupTree, openCgroups } from "../kernel/cgroups.ts";
import type { Paths } from "../store/paths.ts";
import { adaptSpec } from "./adapt-spec.ts";
import { type CommandContext, deleteCommand, execCommand, PROCESS_FILE, RUNTIME_LOG, runCommand } from "./commands.ts";
import { type DetectedRuntime, detectRuntimes, selectRuntime } from "./detect.ts";
import { encodeSpec } from "./encode.ts";
import { openTask, runRuntime, startTask } from "./monitor.ts";
import type { ExecRequest, Runtime, RuntimeSettings, StartRequest, Task } from "./runtime.ts";
import type { Spec } from "./spec-types.ts";
import { type FailedLaunch, launchError } from "./start-errors.ts";
import { limitsOf } from "./update.ts";

/** Seconds; a day. */
const MAX_TIMEOUT = 86_400;

export interface RuntimeOptions {
  readonly paths: Pick<Paths, "runtimeState" | "bundle">;
  readonly settings?: RuntimeSettings | undefined;
  readonly logger?: Logger | undefined;
  /** Default: this machine's. */
  readonly cgroups?: CgroupTree | undefined;
}

/** Fails with "unavailable" and a hint when no OCI runtime works here. */
export async function openRuntime({
  paths,
  settings = {},
  logger = silentLogger,
  cgroups = openCgroups(),
}: RuntimeOptions): Promise<Runtime> {
  const detect = ({ runtimes: configured = {}, defaultRuntime: preferred }: RuntimeSettings) =>
    detectRuntimes({ configured, preferred, cgroups, logger });
  const runtimes = await detect(settings);
  try {
    cgroups.delegate();
  } catch (error) {
    logger.log("warn", "containers cannot be limited: no controllers for control groups", {
      error: errorMessage(error),
    });
  }
  return new OciRuntime({ paths, logger, cgroups, runtimes, detect, limit: limitOf(settings) });
}

/** Milliseconds; the default is what Kubernetes gives a runtime. Throws "invalid". */
function limitOf({ runtimeTimeout = 120 }: RuntimeSettings): number {
  if (Number.isInteger(runtimeTimeout) && runtimeTimeout >= 1 && runtimeTimeout <= MAX_TIMEOUT)
    return runtimeTimeout * 1000;
  throw new EngineError("invalid", `runtime-timeout: expected 1 to ${MAX_TIMEOUT} seconds, found ${runtimeTimeout}`);
}

interface Parts {
  readonly paths: RuntimeOptions["paths"];
  readonly logger: Logger;
  readonly cgroups: CgroupTree;
  readonly runtimes: readonly DetectedRuntime[];
  readonly detect: (settings: RuntimeSettings) => Promise<DetectedRuntime[]>;
  readonly limit: number;
}

class OciRuntime implements Runtime {
  #runtimes: readonly DetectedRuntime[];
  /** Those of earlier settings: containers may have been started by them. */
  #former: readonly DetectedRuntime[] = [];
  readonly #detect: Parts["detect"];
  readonly #paths: Parts["paths"];
  readonly #logger: Logger;
  readonly #cgroups: CgroupTree;
  /** Milliseconds for one call of a runtime. */
  #limit: number;

  constructor({ paths, logger, cgroups, runtimes, detect, limit }: Parts) {
    this.#runtimes = runtimes;
    this.#detect = detect;
    this.#paths = paths;
    this.#logger = logger;
    this.#cgroups = cgroups;
    this.#limit = limit;
  }

  get runtimes(): readonly DetectedRuntime[] {
    return this.#runtimes;
  }

  async configure(settings: RuntimeSettings): Promise<void> {
    const limit = limitOf(settings);
    const found = await this.#detect(settings);
    const known = new Set(found.map(({ name }) => name));
    this.#former = [...this.#former, ...this.#runtimes].filter(
      ({ name }, at, all) => !known.has(name) && all.findLastIndex((other) => other.name === name) === at,
    );
    this.#runtimes = found;
    this.#limit = limit;
  }

  prepare(): void {
    this.#cgroups.warm();
  }

  async start(request: StartRequest): Promise<Task> {
    this.prepare();
    const { id, bundle, spec, terminal, size, stdin, stdinOnce, log, hold } = request;
    const context = this.#context(selectRuntime(this.runtimes, request.runtime));
    const cgroup = spec.linux.cgroupsPath;
    rmSync(join(bundle, RUNTIME_LOG), { force: true });
    // What a runtime that failed to delete left there would be in the way.
    if (existsSync(join(context.state, id))) await this.#forget(context, id, cgroup);
    writeFileSync(
      join(bundle, "config.json"),
      encodeSpec(adaptSpec({ ...spec, process: withSize(spec.process, size) }, context.runtime)),
    );
    try {
      return await startTask({
        ...this.#taskOptions(context, deleteCommand(context, id)),
        id,
        dir: bundle,
        launch: runCommand(context, id, terminal),
        oomFile: cgroup === undefined ? undefined : this.#cgroups.oomFile(cgroup),
        terminal,
        size,
        stdin,
        stdinOnce,
        log,
        hold,
      });
    } catch (error) {
      await this.#forget(context, id, cgroup);
      throw this.#launchError(error, context, { action: "start", process: spec.process });
    }
  }

  async exec(request: ExecRequest): Promise<Task> {
    this.prepare();
    const { execId, containerId, bundle, process, terminal, size, stdin, hold } = request;
    const context = this.#contextOf(containerId, request.runtime);
    writeFileSync(join(bundle, PROCESS_FILE), encodeSpec(withSize(process, size)));
    try {
      return await startTask({
        ...this.#taskOptions(context),
        id: execId,
        dir: bundle,
        launch: execCommand(context, containerId, terminal),
        terminal,
        size,
        stdin,
        stdinOnce: true,
        log: { driver: "none" },
        hold,
      });
    } catch (error) {
      throw this.#launchError(error, context, { action: "exec", process });
    }
  }

  async open(id: string, bundle: string): ReturnType<Runtime["open"]> {
    const context = this.#contextOf(id, undefined);
    const { hideUnified } = context.runtime;
    return openTask(id, bundle, { cleanup: deleteCommand(context, id), hideUnified, runtimeMs: this.#limit });
  }

  async openExec(execId: string, bundle: string): ReturnType<Runtime["openExec"]> {
    return openTask(execId, bundle);
  }

  async pause(id: string): Promise<void> {
    await this.#inCgroup(id, (path) => this.#cgroups.freeze(path));
  }

  async resume(id: string): Promise<void> {
    await this.#inCgroup(id, (path) => this.#cgroups.thaw(path));
  }

  async update(id: string, resources: Resources): Promise<void> {
    await this.#inCgroup(id, async (path) => {
      try {
        this.#cgroups.update(path, limitsOf(resources, this.#cgroups.features));
      } catch (error) {
        if (errnoOf(error) === "ENOENT") throw error;
        throw new EngineError("invalid", `failed to update the container's limits: ${errorMessage(error)}`, {
          cause: error,
        });
      }
    });
  }

  async pids(id: string): Promise<number[]> {
    const path = this.#cgroupOf(id);
    return path === undefined ? [] : this.#cgroups.pids(path);
  }

  async cleanup(id: string): Promise<void> {
    const cgroup = this.#cgroupOf(id);
    for (const runtime of [...this.runtimes, ...this.#former]) {
      const context = this.#context(runtime);
      if (existsSync(join(context.state, id))) await this.#delete(context, id);
    }
    await this.#clearCgroup(cgroup);
  }

  #context(runtime: DetectedRuntime): CommandContext {
    return { runtime, state: join(this.#paths.runtimeState, runtime.name) };
  }

  /** The runtime that knows the container, whatever is the default by now. */
  #contextOf(id: string, name: string | undefined): CommandContext {
    const contexts = [...this.runtimes, ...this.#former].map((runtime) => this.#context(runtime));
    return (
      contexts.find(({ state }) => existsSync(join(state, id))) ?? this.#context(selectRuntime(this.runtimes, name))
    );
  }

  /** From the bundle, so that it is known after a restart too; undefined without a bundle. */
  #cgroupOf(id: string): string | undefined {
    try {
      const spec = JSON.parse(readFileSync(join(this.#paths.bundle(id), "config.json"), "utf8")) as Spec;
      return spec.linux.cgroupsPath;
    } catch {
      return undefined;
    }
  }

  async #inCgroup(id: string, action: (path: string) => Promise<void>): Promise<void> {
    const path = this.#cgroupOf(id);
    if (path === undefined) throw new EngineError("not-found", `container ${id} has no running task`);
    try {
      await action(path);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
      throw new EngineError("not-found", `container ${id} has no running task`, { cause: error });
    }
  }

  async #forget(context: CommandContext, id: string, cgroup: string | undefined): Promise<void> {
    if (existsSync(join(context.state, id))) await this.#delete(context, id);
    await this.#clearCgroup(cgroup);
  }

  async #delete(context: CommandContext, id: string): Promise<void> {
    const { hideUnified } = context.runtime;
    const error = await runRuntime(deleteCommand(context, id), { hideUnified, timeoutMs: this.#limit }).then(
      ({ code, stderr }) => (code === 0 ? undefined : stderr.toString().trim().slice(-1000)),
      errorMessage,
    );
    if (error === undefined) return;
    this.#logger.log("warn", "the runtime could not delete a container", { id, error });
    rmSync(join(context.state, id), { recursive: true, force: true });
  }

  #taskOptions({ runtime }: CommandContext, cleanup?: readonly string[]) {
    return { hideUnified: runtime.hideUnified, runtimeLog: RUNTIME_LOG, cleanup, runtimeMs: this.#limit };
  }

  #launchError(error: unknown, { runtime }: CommandContext, failed: Pick<FailedLaunch, "action" | "process">) {
    return launchError(error, { ...failed, runtime: runtime.kind, limit: this.#limit });
  }

  /** Kills what is left in the cgroup and removes it; a dying process keeps it for some milliseconds. */
  async #clearCgroup(path: string | undefined): Promise<void> {
    if (path === undefined || !this.#cgroups.exists(path)) return;
    for (let pause = 1; pause < 2000; pause *= 2) {
      this.#cgroups.killAll(path);
      if (this.#cgroups.remove(path)) return;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
    this.#logger.log("warn", "a control group could not be removed", { path });
  }
}

/** The runtime sets a terminal's size before the process can look; the monitor alone might come a moment too late. */
function withSize(process: Spec["process"], size: StartRequest["size"]): Spec["process"] {
  const [height = 0, width = 0] = size ?? [];
  return process.terminal && height > 0 && width > 0 ? { ...process, consoleSize: { height, width } } : process;
}
