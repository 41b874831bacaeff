import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { silentLogger } from "../base/log.ts";
import type { Content } from "../content/content.ts";
import { openContent } from "../content/open.ts";
import type { EventInput, Events } from "../events/events.ts";
import type { Images, ImageUse } from "../images/images.ts";
import { openImages } from "../images/open.ts";
import { openRemote, REMOTE_DEFAULTS } from "../remote/open.ts";
import { openStore } from "../store/open.ts";
import { makePaths } from "../store/paths.ts";
import type { Store } from "../store/store.ts";
import { makeTar, streamOf, type TarFile } from "./image-archives.ts";
import { MemorySnapshots } from "./memory-snapshots.ts";

export interface ImagesHarness {
  readonly images: Images;
  readonly content: Content;
  readonly snapshots: MemorySnapshots;
  readonly store: Store;
  /** Changed by the test. */
  readonly uses: ImageUse[];
  readonly published: EventInput[];
  /** The lines that the user sees. */
  load(files: readonly TarFile[] | Buffer): Promise<string[]>;
  /** Digests of the stored blobs. */
  blobs(): string[];
  /** Images read again from the database. */
  reopen(): Images;
}

/** Images over a real store and content, and layers in memory; removed after the test. */
export function openTestImages(t: TestContext): ImagesHarness {
  const root = mkdtempSync(join(tmpdir(), "gantry-images-"));
  const store = openStore(makePaths(join(root, "data"), join(root, "run")));
  t.after(() => {
    store.close();
    rmSync(root, { recursive: true, force: true });
  });
  const content = openContent(store);
  const snapshots = new MemorySnapshots();
  const uses: ImageUse[] = [];
  const published: EventInput[] = [];
  const events = { publish: (event: EventInput) => published.push(event) } as unknown as Events;
  const open = () =>
    openImages({
      store,
      content,
      snapshots: snapshots.asSnapshots(),
      events,
      remote: openRemote({ settings: REMOTE_DEFAULTS }),
      uses: () => uses,
      logger: silentLogger,
    });
  const images = open();
  return {
    images,
    content,
    snapshots,
    store,
    uses,
    published,
    load: async (files) => {
      const lines: string[] = [];
      const archive = Buffer.isBuffer(files) ? files : await makeTar(files);
      await images.load(streamOf(archive), { onProgress: ({ stream }) => stream !== undefined && lines.push(stream) });
      return lines;
    },
    blobs: () => Array.from(content.walk(), ({ digest }) => digest),
    reopen: open,
  };
}
