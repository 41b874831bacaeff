/** A kill between any two steps: what the operation would do from then on to the disk and to the rows does not happen. */
import assert from "node:assert/strict";
import fs from "node:fs";
import { createRequire, syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { type TestContext, test } from "node:test";
import { TarWriter } from "../base/tar/writer.ts";
import type { Events } from "../events/events.ts";
import { mountTable } from "../kernel/mounts.ts";
import { openPlugins } from "../plugins/open.ts";
import { openStore } from "../store/open.ts";
import { makePaths } from "../store/paths.ts";
import type { Store } from "../store/store.ts";
import { unmountBelow } from "../testing/unmount.ts";
import { openVolumes } from "./open.ts";
import type { Volumes } from "./volumes.ts";

const native = createRequire(import.meta.url)("../../native/build/gantry.node") as Record<string, unknown>;
const FILE_CALLS = [
  "mkdirSync",
  "renameSync",
  "rmSync",
  "rmdirSync",
  "linkSync",
  "symlinkSync",
  "chmodSync",
  "lchownSync",
  "writeSync",
];
const NATIVE_CALLS = [
  "removeTree",
  "mount",
  "unmount",
  "setTimes",
  "setXattr",
  "makeNode",
  "createFile",
  "cloneFile",
  "copyRange",
];
const ROW_CALLS = ["run", "durable"] as const;

type Call = (...values: unknown[]) => unknown;

/** Counts the steps of an operation, and lets none happen from the one on that is the last. */
class Steps {
  count = 0;
  #last = 0;
  readonly #undo: (() => void)[] = [];

  /** "dead" from step `last` on. */
  arm(last: number, store: Store): void {
    this.count = 0;
    this.#last = last;
    for (const name of FILE_CALLS) this.#wrap(fs as unknown as Record<string, unknown>, name);
    for (const name of NATIVE_CALLS) this.#wrap(native, name);
    for (const name of ROW_CALLS) this.#wrap(store as unknown as Record<string, unknown>, name);
    syncBuiltinESMExports();
  }

  disarm(): void {
    for (const undo of this.#undo.splice(0)) undo();
    syncBuiltinESMExports();
  }

  get dead(): boolean {
    return this.count >= this.#last;
  }

  #wrap(object: Record<string, unknown>, name: string): void {
    const call = object[name] as Call;
    object[name] = (...values: unknown[]) => {
      if (++this.count >= this.#last) throw new Error("killed");
      return call.apply(object, values);
    };
    this.#undo.push(() => {
      object[name] = call;
    });
  }
}

const FREE = { force: false, inUseBy: [] };
const quiet = (last: () => Promise<void>) => last();

interface Scene {
  readonly volumes: Volumes;
  /** A folder of an image. */
  readonly image: string;
  readonly device: string;
  readonly tar: Buffer;
}

interface Case {
  readonly name: string;
  readonly before?: ((scene: Scene) => Promise<unknown>) | undefined;
  readonly operation: (scene: Scene) => Promise<unknown>;
  /** What each volume may hold afterwards; "-" for one that is not there. */
  readonly allowed: readonly string[];
}

/** "old" is in `data` before, "new" in the image and the archive. */
const CASES: readonly Case[] = [
  {
    name: "create",
    operation: ({ volumes }) => volumes.create({ Name: "made" }),
    allowed: ["data=old", "data=old made="],
  },
  { name: "remove", operation: ({ volumes }) => volumes.remove("data", FREE), allowed: ["data=old", ""] },
  {
    name: "copy-up",
    before: ({ volumes }) => volumes.create({ Name: "made" }),
    operation: async ({ volumes, image }) => {
      await volumes.acquire("made", "user");
      await volumes.copyUp("made", image);
    },
    allowed: ["data=old made=", "data=old made=new"],
  },
  {
    name: "snapshot",
    operation: ({ volumes }) => volumes.copy("data", { name: "made", snapshot: true, still: quiet }),
    allowed: ["data=old", "data=old made=old"],
  },
  {
    name: "clone",
    operation: ({ volumes }) => volumes.copy("data", { name: "made", snapshot: false, still: quiet }),
    allowed: ["data=old", "data=old made=old"],
  },
  {
    name: "restore",
    before: ({ volumes, tar }) => volumes.import({ Name: "made" }, Readable.from([tar])),
    operation: ({ volumes }) => volumes.restoreFrom("data", "made"),
    allowed: ["data=old made=new", "data=new made=new"],
  },
  {
    name: "import",
    operation: ({ volumes, tar }) => volumes.import({ Name: "made" }, Readable.from([tar])),
    allowed: ["data=old", "data=old made=new"],
  },
  {
    name: "import into an empty volume",
    before: ({ volumes }) => volumes.create({ Name: "made" }),
    operation: ({ volumes, tar }) => volumes.import({ Name: "made" }, Readable.from([tar])),
    allowed: ["data=old made=", "data=old made=new"],
  },
  {
    name: "export",
    operation: async ({ volumes }) => (await volumes.export("data", quiet)).resume(),
    allowed: ["data=old"],
  },
  {
    name: "mount, unmount and remove a device",
    before: ({ volumes, device }) => volumes.create({ Name: "made", DriverOpts: { type: "none", o: "bind", device } }),
    operation: async ({ volumes }) => {
      await volumes.acquire("made", "user");
      await volumes.release("made", "user");
      await volumes.remove("made", FREE);
    },
    allowed: ["data=old made=", "data=old"],
  },
];

for (const { name, before, operation, allowed } of CASES)
  test(`a kill between any two steps of ${name} leaves the old or the new`, async (t) => {
    const seen = new Set<string>();
    for (let last = 1; ; last++) {
      const died = await round(t, last, { before, operation, seen });
      if (!died) break;
      assert.ok(last < 500, "the operation does not end");
    }
    for (const state of seen) assert.ok(allowed.includes(state), `${JSON.stringify(state)} is neither`);
    assert.ok(seen.has(allowed.at(-1) ?? ""), `not seen: ${allowed.at(-1)}`);
  });

/** One try; false when the operation came to its end. */
async function round(
  t: TestContext,
  last: number,
  { before, operation, seen }: Pick<Case, "before" | "operation"> & { seen: Set<string> },
): Promise<boolean> {
  const folder = fs.mkdtempSync(join(tmpdir(), "gantry-volume-kill-"));
  const paths = makePaths(join(folder, "data"), join(folder, "exec"));
  const steps = new Steps();
  t.after(() => steps.disarm());
  try {
    let store = openStore(paths);
    const scene = await setScene(folder, open(store));
    await before?.(scene);
    steps.arm(last, store);
    await operation(scene).catch(() => {});
    // What went on behind it has come to its end, or to the kill.
    while (!steps.dead && steps.count < (await settled(steps)));
    const died = steps.dead;
    steps.disarm();
    store.close();
    store = openStore(paths);
    const again = open(store);
    await again.restore(new Map());
    seen.add(stateOf(again));
    assert.deepEqual(leftovers(paths.volumes, again), [], `after step ${last}`);
    assert.deepEqual(
      mountTable().filter(({ target }) => target.startsWith(folder)),
      [],
    );
    assert.equal(fs.readFileSync(join(scene.device, "kept"), "utf8"), "device");
    store.close();
    return died;
  } finally {
    steps.disarm();
    unmountBelow(folder);
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

async function settled(steps: Steps): Promise<number> {
  const { count } = steps;
  await new Promise((resolve) => setTimeout(resolve, 20));
  return steps.count > count ? Number.POSITIVE_INFINITY : 0;
}

function open(store: Store): Volumes {
  const events = { publish() {} } as unknown as Events;
  return openVolumes({ store, events, logger: { log() {} }, plugins: openPlugins() });
}

async function setScene(folder: string, volumes: Volumes): Promise<Scene> {
  const [image, device] = [join(folder, "image"), join(folder, "device")];
  fillWith(image, "new");
  fs.mkdirSync(device);
  fs.writeFileSync(join(device, "kept"), "device");
  fillWith((await volumes.create({ Name: "data" })).Mountpoint, "old");
  const writer = new TarWriter();
  const chunks = Array.fromAsync(writer.stream as AsyncIterable<Buffer>);
  for (const path of FILES) await writer.add({ path }, Buffer.from("new"));
  await writer.finish();
  return { volumes, image, device, tar: Buffer.concat(await chunks) };
}

const FILES = ["a", "sub/b"];

function fillWith(folder: string, text: string): void {
  fs.mkdirSync(join(folder, "sub"), { recursive: true });
  for (const file of FILES) fs.writeFileSync(join(folder, file), text);
}

/** "data=old made=new": what every file of each volume says. */
function stateOf(volumes: Volumes): string {
  return volumes
    .list()
    .map(({ Name, Mountpoint }) => `${Name}=${contentOf(Mountpoint)}`)
    .join(" ");
}

function contentOf(folder: string): string {
  const names = fs.readdirSync(folder);
  if (names.length === 0) return "";
  const texts = FILES.map((file) => {
    const path = join(folder, file);
    return fs.existsSync(path) ? fs.readFileSync(path, "utf8") : "missing";
  });
  return new Set(texts).size === 1 ? (texts[0] ?? "") : `a mixture of ${texts}`;
}

/** What lies in the folder of volumes and belongs to none. */
function leftovers(folder: string, volumes: Volumes): string[] {
  const known = new Set(volumes.list().map(({ Name }) => Name));
  return fs.readdirSync(folder).flatMap((name) => {
    if (!known.has(name)) return [name];
    return fs.readdirSync(join(folder, name)).filter((inner) => inner !== "_data");
  });
}
