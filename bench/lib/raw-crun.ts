/** The floor: the OCI runtime by itself on a bundle that Gantry wrote. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openCgroups } from "../../src/kernel/cgroups.ts";
import { mountOverlay, unmountIfMounted } from "../../src/kernel/mounts.ts";
import { run } from "../../src/kernel/spawn.ts";
import { MONITOR_PATH } from "../../src/runtime/monitor.ts";
import type { TestDaemon } from "../../src/testing/daemon.ts";

export interface RawRuntime {
  /** `crun run` of the bundle, whose process is `true`, in the foreground. */
  runTrue(): Promise<void>;
  dispose(): void;
}

/**
 * Takes the specification of a container that runs under Gantry, with a new network namespace in place of Gantry's, and an
 * overlay of its own over the same layers.
 */
export async function rawRuntime(daemon: TestDaemon, runtime = "crun"): Promise<RawRuntime> {
  const { Id } = await daemon.call<{ Id: string }>("POST", "/containers/create", {
    Image: "busybox",
    Cmd: ["sleep", "60"],
    HostConfig: { NetworkMode: "none" },
  });
  await daemon.call("POST", `/containers/${Id}/start`);
  const source = join(daemon.execRoot, "containers", Id);
  const spec = JSON.parse(readFileSync(join(source, "config.json"), "utf8"));
  const inspect = await daemon.call<{ GraphDriver: { Data: Record<string, string> } }>("GET", `/containers/${Id}/json`);
  const bundle = join(daemon.folder, "raw");
  for (const name of ["rootfs", "upper", "work"]) mkdirSync(join(bundle, name), { recursive: true });
  const lower = (inspect.GraphDriver.Data.LowerDir ?? "").split(":");
  mountOverlay({ lower, upper: join(bundle, "upper"), work: join(bundle, "work"), target: join(bundle, "rootfs") });
  for (const namespace of spec.linux.namespaces) if (namespace.type === "network") delete namespace.path;
  Object.assign(spec, { root: { ...spec.root, path: "rootfs" } });
  spec.process.args = ["true"];
  spec.linux.cgroupsPath = "/gantry-bench/raw";
  const files = (mount: { destination: string }) =>
    !["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"].includes(mount.destination);
  spec.mounts = spec.mounts.filter(files);
  writeFileSync(join(bundle, "config.json"), JSON.stringify(spec));
  await daemon.call("DELETE", `/containers/${Id}?force=1`);
  const command = [runtime, "--root", join(daemon.folder, "raw-state"), "run", "--bundle", bundle, "raw"];
  const argv =
    openCgroups().hybrid && runtime === "crun"
      ? [MONITOR_PATH, "runtime", "--hide-unified", "--", ...command]
      : command;
  return {
    async runTrue() {
      const [file = "", ...args] = argv;
      const { code, stderr } = await run(file, args);
      if (code !== 0) throw new Error(`${argv.join(" ")}: ${stderr}`);
    },
    dispose: () => void unmountIfMounted(join(bundle, "rootfs"), { detach: true }),
  };
}
