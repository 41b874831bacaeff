import { statSync } from "node:fs";
import { chainIdOf } from "../base/chain-id.ts";
import type { Digest } from "../base/digest.ts";
import { EngineError, errorKind } from "../base/errors.ts";
import type { Catalog, StoredLayer } from "./catalog.ts";
import type { LayerMaker } from "./layer-maker.ts";
import type { Layer, LayerInput } from "./snapshots.ts";

export interface UnpackOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (layer: number, bytes: number) => void;
}

/** A layer being unpacked, for all calls that want it. */
interface Job {
  readonly done: Promise<StoredLayer>;
  readonly stop: Int32Array;
  /** Calls that wait for it; at zero it is stopped. */
  callers: number;
  readonly listeners: Set<(bytes: number) => void>;
}

/** Unpacks each layer once, however many calls ask for it at the same time. */
export class UnpackJobs {
  readonly #catalog: Catalog;
  readonly #maker: LayerMaker;
  readonly #jobs = new Map<Digest, Job>();
  /** Made by a call that is not over: taken away again when that fails, unless another call got it. */
  readonly #fresh = new Set<Digest>();
  /** How many calls under way name a layer. */
  readonly #claims = new Map<Digest, number>();

  constructor(catalog: Catalog, maker: LayerMaker) {
    this.#catalog = catalog;
    this.#maker = maker;
  }

  async unpack(inputs: readonly LayerInput[], { signal, onProgress }: UnpackOptions = {}): Promise<Layer[]> {
    signal?.throwIfAborted();
    const chainIds = inputs.map(({ parent, diffId }) => chainIdOf(parent, diffId));
    this.#claim(chainIds, 1);
    try {
      const layers = await this.#all(inputs, chainIds, signal, onProgress);
      for (const chainId of chainIds) this.#fresh.delete(chainId);
      return layers;
    } catch (error) {
      this.#claim(chainIds, -1);
      this.#takeBack(chainIds);
      this.#claim(chainIds, 1);
      throw error;
    } finally {
      this.#claim(chainIds, -1);
    }
  }

  /** Stops what is under way. */
  async close(): Promise<void> {
    for (const { stop } of this.#jobs.values()) Atomics.store(stop, 0, 1);
    await Promise.allSettled([...this.#jobs.values()].map(({ done }) => done));
  }

  async #all(
    inputs: readonly LayerInput[],
    chainIds: readonly Digest[],
    signal: AbortSignal | undefined,
    onProgress: UnpackOptions["onProgress"],
  ): Promise<Layer[]> {
    const leave: (() => void)[] = [];
    const leaveAll = () => {
      for (const left of leave.splice(0)) left();
    };
    const waits = inputs.map((input, index) => {
      const chainId = chainIds[index] as Digest;
      const stored = this.#catalog.layer(chainId);
      if (stored !== undefined) return Promise.resolve(stored);
      const job = this.#jobs.get(chainId) ?? this.#start(chainId, input);
      const listener = (bytes: number) => onProgress?.(index, bytes);
      job.callers++;
      job.listeners.add(listener);
      leave.push(() => {
        job.listeners.delete(listener);
        if (--job.callers === 0) Atomics.store(job.stop, 0, 1);
      });
      return job.done;
    });
    signal?.addEventListener("abort", leaveAll);
    try {
      const layers = await settleAll(waits, leaveAll, signal);
      return layers.map(({ folder: _, ...layer }) => Object.freeze(layer));
    } finally {
      signal?.removeEventListener("abort", leaveAll);
      leaveAll();
    }
  }

  #start(chainId: Digest, input: LayerInput): Job {
    const stop = new Int32Array(new SharedArrayBuffer(4));
    const listeners = new Set<(bytes: number) => void>();
    const done = this.#run(chainId, input, stop, (bytes) => {
      for (const listener of listeners) listener(bytes);
    }).finally(() => this.#jobs.delete(chainId));
    done.catch(() => {});
    const job: Job = { done, stop, callers: 0, listeners };
    this.#jobs.set(chainId, job);
    return job;
  }

  async #run(
    chainId: Digest,
    input: LayerInput,
    stop: Int32Array,
    onProgress: (bytes: number) => void,
  ): Promise<StoredLayer> {
    const { source, digest, diffId, parent } = input;
    const layer = await this.#maker.make({
      chainId,
      parent,
      diffId,
      parentReady: this.#ready(parent),
      task: { ...placeOf(source), digest, diffId, stop },
      growing: "growth" in source ? source : undefined,
      sourceBytes: source.length ?? statSync((source as { path: string }).path).size,
      onProgress,
    });
    this.#fresh.add(chainId);
    return layer;
  }

  #ready(parent: Digest | undefined): Promise<unknown> {
    if (parent === undefined || this.#catalog.layer(parent) !== undefined) return Promise.resolve();
    const job = this.#jobs.get(parent);
    if (job !== undefined) return job.done;
    return Promise.reject(new EngineError("invalid", `the layer below, ${parent}, is not unpacked`));
  }

  #claim(chainIds: readonly Digest[], by: number): void {
    for (const chainId of chainIds) {
      const count = (this.#claims.get(chainId) ?? 0) + by;
      if (count > 0) this.#claims.set(chainId, count);
      else this.#claims.delete(chainId);
    }
  }

  #takeBack(chainIds: readonly Digest[]): void {
    for (const chainId of chainIds.toReversed()) {
      if (!this.#fresh.has(chainId) || this.#claims.has(chainId)) continue;
      this.#fresh.delete(chainId);
      try {
        this.#maker.remove(chainId);
      } catch (error) {
        if (errorKind(error) !== "conflict") throw error;
      }
    }
  }
}

function placeOf(source: LayerInput["source"]) {
  if ("growth" in source) return { path: "", offset: 0, length: source.length };
  return { path: source.path, offset: source.offset ?? 0, length: source.length };
}

/** Waits for all; at the first failure `giveUp` is called, and that failure is thrown when the others have ended too. */
async function settleAll<T>(
  waits: readonly Promise<T>[],
  giveUp: () => void,
  signal: AbortSignal | undefined,
): Promise<T[]> {
  let first: { readonly error: unknown } | undefined;
  const results = await Promise.all(
    waits.map((wait) =>
      wait.catch((error: unknown) => {
        first ??= { error };
        giveUp();
        return undefined;
      }),
    ),
  );
  if (signal?.aborted === true) throw new EngineError("cancelled", "unpacking was cancelled");
  if (first !== undefined) throw first.error;
  return results as T[];
}
