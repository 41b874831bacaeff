/** What the tests of real containers share: a busybox root file system, a control group and an open runtime of their own. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import type { ContainerConfig, HostConfig } from "../api/types/container.ts";
import { newId } from "../base/ids.ts";
import { openCgroups } from "../kernel/cgroups.ts";
import { readHost } from "../kernel/host.ts";
import { makePaths, type Paths } from "../store/paths.ts";
import { MONITOR_PATH } from "./monitor.ts";
import { openRuntime } from "./open.ts";
import type { Runtime, StartRequest, Task } from "./runtime.ts";
import { buildSpec } from "./spec.ts";

const BUSYBOX = "/usr/bin/busybox";
const APPLETS = ["sh", "sleep", "true", "cat", "id", "unshare", "stty", "mknod", "dd", "seq", "rm"];

export const cgroups = openCgroups();

/** Why no container can run here, or false. */
export const missing = ((): string | false => {
  const needs = [
    ...(process.getuid?.() === 0 ? [] : ["root"]),
    ...(existsSync(BUSYBOX) ? [] : ["busybox-static"]),
    ...(existsSync(MONITOR_PATH) ? [] : ["gantry-monitor (make -C native)"]),
  ];
  return needs.length > 0 && `needs ${needs.join(", ")}`;
})();

export interface Workbench {
  readonly paths: Paths;
  /** The control group that every container is made in. */
  readonly parent: string;
  /** Once the tests run. */
  readonly runtime: Runtime;
  /** A container that is not started; `log` in its bundle. */
  request(config: ContainerConfig, hostConfig?: HostConfig, runtime?: string): StartRequest;
  /** What it wrote, by lines, once it ended. */
  lines(task: Task): Promise<string[]>;
  end(task: Task): Promise<void>;
}

/** Call it inside `describe`: it is made before the tests there and taken away after them. */
export function workbench(): Workbench {
  const root = mkdtempSync(join(tmpdir(), "runtime-"));
  const paths = makePaths(join(root, "data"), join(root, "run"));
  const rootfs = join(root, "rootfs");
  const parent = `/gantry-test-${newId().slice(0, 12)}`;
  const started: string[] = [];
  let runtime: Runtime | undefined;
  const opened = (): Runtime => {
    if (runtime === undefined) throw new Error("the tests have not begun");
    return runtime;
  };

  before(async () => {
    for (const folder of ["bin", "etc", "proc", "sys", "dev", "tmp"])
      mkdirSync(join(rootfs, folder), { recursive: true });
    cpSync(BUSYBOX, join(rootfs, "bin/busybox"));
    for (const name of APPLETS) symlinkSync("busybox", join(rootfs, "bin", name));
    writeFileSync(join(rootfs, "etc/passwd"), "root:x:0:0::/root:/bin/sh\n");
    mkdirSync(paths.runtimeState, { recursive: true });
    runtime = await openRuntime({ paths });
  });

  after(async () => {
    for (const id of started) await runtime?.cleanup(id);
    cgroups.remove(parent);
    rmSync(root, { recursive: true, force: true });
  });

  return {
    paths,
    parent,
    get runtime() {
      return opened();
    },

    request(config, hostConfig = {}, name) {
      const id = newId();
      started.push(id);
      const bundle = paths.bundle(id);
      mkdirSync(bundle, { recursive: true });
      const spec = buildSpec({
        config,
        hostConfig,
        hostname: "box",
        rootfs,
        user: { uid: 0, gid: 0, additionalGids: [], home: "/root" },
        mounts: [],
        namespaces: {
          network: "new",
          pid: "new",
          ipc: "new",
          uts: "new",
          cgroup: cgroups.version === 2 ? "new" : "host",
        },
        ownNetwork: true,
        shm: { size: 1 << 20 },
        cgroup: `${parent}/${id}`,
        resourceSupport: cgroups.features,
        defaults: { ulimits: {}, noNewPrivileges: false, seccompProfile: undefined, init: false, initPath: undefined },
        host: readHost(),
      });
      const log = { driver: "json-file" as const, path: join(bundle, "log") };
      const terminal = config.Tty === true;
      return { id, bundle, spec, runtime: name, terminal, stdin: false, stdinOnce: false, log };
    },

    async lines(task) {
      await task.exited;
      await task.released;
      const written = readFileSync(join(paths.bundle(task.id), "log"), "utf8")
        .split("\n")
        .filter(Boolean);
      return written.map((line) => (JSON.parse(line) as { log: string }).log.trimEnd());
    },

    async end(task) {
      await task.killAll(9);
      await task.exited;
      await task.released;
    },
  };
}
