/** An engine in this process on temporary roots, with a busybox image; all is taken away after the test. */
import { createReadStream, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex } from "node:stream";
import type { TestContext } from "node:test";
import { makeBusyboxArchive } from "../../scripts/base-image.ts";
import type { ContainerCreateRequest } from "../api/types/container.ts";
import type { EventMessage } from "../api/types/system.ts";
import type { Engine, EngineOptions } from "../engine/engine.ts";
import { createEngine } from "../engine/open.ts";
import { killProcess } from "../kernel/spawn.ts";
import { processesOf } from "./daemon.ts";
import { unmountBelow } from "./unmount.ts";

export interface TestEngine {
  /** The one that is open now. */
  readonly engine: Engine;
  readonly dataRoot: string;
  readonly execRoot: string;
  /** Lets go of the engine, as gantryd does when it is told to end; `between` runs while there is none; opens it again. */
  restart(between?: () => Promise<void> | void): Promise<void>;
}

/** Without a default bridge unless `settings` name one: networks have tests of their own. */
export async function startEngine(t: TestContext, settings: EngineOptions["settings"] = {}): Promise<TestEngine> {
  const folder = mkdtempSync(join(tmpdir(), "gantry-engine-"));
  const [dataRoot, execRoot] = [join(folder, "data"), join(folder, "exec")];
  const network = { bridge: "none", ...settings?.network } as NonNullable<typeof settings.network>;
  const open = () => createEngine({ dataRoot, execRoot, settings: { ...settings, network } });
  let engine: Engine | undefined;
  t.after(async () => {
    try {
      if (engine !== undefined) await removeAll(engine);
    } finally {
      await engine?.[Symbol.asyncDispose]();
      for (const pid of processesOf(folder)) killIfThere(pid);
      unmountBelow(folder);
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    }
  });
  engine = await open();
  const archive = join(folder, "busybox.tar");
  await makeBusyboxArchive(archive);
  await engine.images.load(createReadStream(archive), { onProgress: () => {} });
  return {
    dataRoot,
    execRoot,
    get engine() {
      if (engine === undefined) throw new Error("the engine is closed");
      return engine;
    },
    async restart(between) {
      await engine?.[Symbol.asyncDispose]();
      engine = undefined;
      await between?.();
      engine = await open();
    },
  };
}

async function removeAll({ containers }: Engine): Promise<void> {
  const all = await containers.list({ all: true, size: false, filters: {} });
  const options = { force: true, volumes: true, link: false };
  await Promise.allSettled(all.map(({ Id }) => containers.remove(Id, options)));
}

function killIfThere(pid: number): void {
  try {
    killProcess(pid, 9);
  } catch {
    // It ended by itself.
  }
}

/** Creates a busybox container without a network. Returns its id. */
export async function createBusybox(
  { containers }: Engine,
  command: readonly string[],
  { name, ...request }: Partial<ContainerCreateRequest> & { readonly name?: string } = {},
): Promise<string> {
  const { Id } = await containers.create(name, {
    Image: "busybox",
    Cmd: [...command],
    ...request,
    HostConfig: { NetworkMode: "none", ...request.HostConfig },
  });
  return Id;
}

/** Creates, starts, and waits for the end. */
export async function runToEnd(engine: Engine, id: string): Promise<number> {
  const { result } = await engine.containers.wait(id, "next-exit");
  await engine.containers.start(id);
  return (await result).StatusCode;
}

/** Everything the container wrote, both streams. */
export async function logText(engine: Engine, id: string): Promise<string> {
  const options = { stdout: true, stderr: true, timestamps: false, follow: false, details: false };
  const { raw, chunks } = await engine.containers.logs(id, options);
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  const bytes = Buffer.concat(parts);
  return raw
    ? bytes.toString()
    : payloads(bytes)
        .map(({ text }) => text)
        .join("");
}

/** The frames of a stream: 1 is standard output, 2 standard error. */
export function payloads(bytes: Buffer): { stream: number; text: string }[] {
  const frames: { stream: number; text: string }[] = [];
  for (let at = 0; at + 8 <= bytes.length; ) {
    const length = bytes.readUInt32BE(at + 4);
    frames.push({ stream: bytes[at] ?? 0, text: bytes.toString("utf8", at + 8, at + 8 + length) });
    at += 8 + length;
  }
  return frames;
}

/** The client's end of an attach: `sent` goes in, what comes out is collected. */
export class FakeClient {
  readonly end: Duplex;
  received = Buffer.alloc(0);
  #waiting: (() => void)[] = [];

  constructor() {
    this.end = new Duplex({
      allowHalfOpen: true,
      read() {},
      write: (chunk: Buffer, _encoding, done) => {
        this.received = Buffer.concat([this.received, chunk]);
        for (const wake of this.#waiting.splice(0)) wake();
        done();
      },
    });
  }

  send(text: string | Buffer): void {
    this.end.push(text);
  }

  /** Standard input's end. */
  finish(): void {
    this.end.push(null);
  }

  /** The connection breaks. */
  vanish(): void {
    this.end.destroy();
  }

  async until(text: string): Promise<void> {
    while (!this.received.includes(text)) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

/** Collects events until `stop`; a container's actions in their order. */
export function recordEvents({ events }: Engine): { of(id: string): string[]; all: EventMessage[]; stop(): void } {
  const stop = new AbortController();
  const all: EventMessage[] = [];
  void (async () => {
    for await (const event of events.subscribe({ filters: {}, signal: stop.signal })) all.push(event);
  })().catch(() => {});
  return {
    all,
    of: (id) => all.filter(({ Actor, Type }) => Type === "container" && Actor.ID === id).map(({ Action }) => Action),
    stop: () => stop.abort(),
  };
}
