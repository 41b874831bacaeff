import type { ContainerWaitResult } from "../api/types/container.ts";
import { nanosecondsOf } from "../base/time.ts";
import type { AttachStream, Task } from "../runtime/runtime.ts";
import type { Process } from "../runtime/spec-types.ts";
import type { Definition, State } from "./record.ts";

/** A client that attached before the container runs: called with the task, or with undefined when there will be none. */
export type Joiner = (task: Task | undefined) => Promise<AttachStream | undefined>;

/** A container in memory: a few hundred bytes and what its run needs. `Registry` changes it and the database together. */
export class Container {
  readonly id: string;
  readonly imageId: string;
  readonly createdAt: string;
  /** The same, to compare. */
  readonly createdNs: bigint;
  name: string;
  state: State;
  /** While it has a process. */
  task: Task | undefined;
  /** The last run's mount, network and volumes are let go of; never rejects. A start or removal waits for it. */
  settled: Promise<void> = Promise.resolve();
  /** Resolve at the next exit. */
  readonly exitWaiters = new Set<(result: ContainerWaitResult) => void>();
  readonly removalWaiters = new Set<(result: ContainerWaitResult) => void>();
  readonly joiners = new Set<Joiner>();
  readonly execIds = new Set<string>();
  /** Takes back the restart that is due. */
  cancelRestart: (() => void) | undefined;
  /** Milliseconds before the restart policy's next restart; 0: its first. */
  restartDelay = 0;
  /** More than 0: it will be started again at once or by the next engine, so neither `--rm` nor a policy does anything about its exit. */
  keptAlive = 0;
  /** The engine, which has just started, is about to start it. */
  startsWithEngine = false;
  stopHealth: (() => void) | undefined;
  /** The running process's specification, for execs; read when first needed. */
  process: Process | undefined;
  #definition: WeakRef<Definition> | undefined;
  readonly #load: () => Definition;

  constructor(
    { id, name, imageId, createdAt, state }: Pick<Container, "id" | "name" | "imageId" | "createdAt" | "state">,
    load: () => Definition,
  ) {
    this.id = id;
    this.name = name;
    this.imageId = imageId;
    this.createdAt = createdAt;
    this.createdNs = nanosecondsOf(createdAt);
    this.state = state;
    this.#load = load;
  }

  /** Read from the database when it is not in use anywhere. */
  get definition(): Definition {
    const known = this.#definition?.deref();
    if (known !== undefined) return known;
    const loaded = this.#load();
    this.#definition = new WeakRef(loaded);
    return loaded;
  }

  forgetDefinition(): void {
    this.#definition = undefined;
  }
}
