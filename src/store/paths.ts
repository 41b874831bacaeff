/**
 * The disk, drawn once. Nothing else makes a path under the data root or the exec root.
 *
 *   <data-root>                        default /var/lib/gantry
 *     gantry.db                        what is true (SQLite, WAL, one writer)
 *     reserve                          room that is given back when the disk is full
 *     gantry.lock                      held by the gantryd that owns this root
 *     engine-id                        the ID of `info`
 *     events.log                       the journal of events
 *     content/blobs/sha256/<hex>       immutable, read-only, verified
 *     content/ingest/<ref>/            downloads and loads in progress
 *     snapshots/<id>/fs, work          layers and writable trees
 *     containers/<id>/                 logs, hostname, hosts, resolv.conf
 *     volumes/<name>/_data
 *     registry/                        the embedded registry, drawn in registry/storage/layout.ts
 *     builder/mounts/<id>/             cache mounts of RUN steps
 *     builder/hashes/<name>            what is known of the files of contexts
 *     contexts/<id>/tree, list         build contexts that clients send
 *     tmp/                             emptied at start
 *   <exec-root>                        default /run/gantry; gone at reboot
 *     containers/<id>/                 bundle: config.json, rootfs/, m.sock, exit
 *     execs/<id>/                      an exec's m.sock, exit
 *     runtime/                         the OCI runtime's own state (--root)
 *     netns/<id>
 */
import { join } from "node:path";

export interface Paths {
  readonly dataRoot: string;
  readonly execRoot: string;
  readonly database: string;
  readonly reserve: string;
  readonly lock: string;
  readonly engineId: string;
  readonly eventsJournal: string;
  readonly blobs: string;
  readonly ingests: string;
  readonly snapshots: string;
  readonly volumes: string;
  readonly registry: string;
  readonly contexts: string;
  readonly cacheMounts: string;
  readonly contextHashes: string;
  readonly tmp: string;
  /** A folder with nothing in it. */
  readonly emptyFolder: string;
  readonly runtimeState: string;
  readonly netnsFolder: string;
  readonly containersFolder: string;
  readonly bundlesFolder: string;
  readonly execsFolder: string;
  container(id: string): string;
  bundle(id: string): string;
  /** Where a container's root file system is mounted. */
  rootfs(id: string): string;
  /** A shared /dev/shm, mounted while the container runs. */
  shm(id: string): string;
  /** A file of the network that is mounted over the container's own. */
  networkFile(id: string, name: "hosts" | "hostname" | "resolv.conf"): string;
  exec(id: string): string;
  netns(id: string): string;
  snapshot(id: string): string;
  volume(name: string): string;
  /** A cache mount of RUN steps. */
  cacheMount(id: string): string;
  /** Something that a build fetched. */
  fetched(id: string): string;
  /** What is known of a context's files; `name` is one file name. */
  contextHash(name: string): string;
  context(id: string): string;
  /** A name of its own in `tmp`. */
  temporary(purpose: string, id: string): string;
  blob(algorithm: string, hex: string): string;
  /** `name` is one file name. */
  ingest(name: string): string;
}

export function makePaths(dataRoot: string, execRoot: string): Paths {
  const data = (...parts: string[]) => join(dataRoot, ...parts);
  const exec = (...parts: string[]) => join(execRoot, ...parts);
  return Object.freeze({
    dataRoot,
    execRoot,
    database: data("gantry.db"),
    reserve: data("reserve"),
    lock: data("gantry.lock"),
    engineId: data("engine-id"),
    eventsJournal: data("events.log"),
    blobs: data("content", "blobs"),
    ingests: data("content", "ingest"),
    snapshots: data("snapshots"),
    volumes: data("volumes"),
    registry: data("registry"),
    contexts: data("contexts"),
    cacheMounts: data("builder", "mounts"),
    contextHashes: data("builder", "hashes"),
    tmp: data("tmp"),
    emptyFolder: data("tmp", "empty"),
    runtimeState: exec("runtime"),
    netnsFolder: exec("netns"),
    containersFolder: data("containers"),
    bundlesFolder: exec("containers"),
    execsFolder: exec("execs"),
    container: (id: string) => data("containers", id),
    bundle: (id: string) => exec("containers", id),
    rootfs: (id: string) => exec("containers", id, "rootfs"),
    shm: (id: string) => exec("containers", id, "shm"),
    networkFile: (id: string, name: string) => data("containers", id, name),
    exec: (id: string) => exec("execs", id),
    netns: (id: string) => exec("netns", id),
    snapshot: (id: string) => data("snapshots", id),
    volume: (name: string) => data("volumes", name),
    cacheMount: (id: string) => data("builder", "mounts", id),
    fetched: (id: string) => data("tmp", `fetched-${id}`),
    contextHash: (name: string) => data("builder", "hashes", name),
    context: (id: string) => data("contexts", id),
    temporary: (purpose: string, id: string) => data("tmp", `${purpose}-${id}`),
    blob: (algorithm: string, hex: string) => data("content", "blobs", algorithm, hex),
    ingest: (name: string) => data("content", "ingest", name),
  });
}
