/** The floor: the OCI runtime by itself on a bundle that Gantry wrote. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openCgroups } from "../../src/kernel/cgroups.ts";
import { run } from "../../src/kernel/spawn.ts";
import { MONITOR_PATH } from "../../src/runtime/monitor.ts";
import type { TestDaemon } from "../../src/testing/daemon.ts";

export interface RawRuntime {
  /** `crun run` of the bundle, whose process is `true`, in the foreground. */
  runTrue(): Promise<void>;
  dispose(): Promise<void>;
}

/**
 * Takes the specification of a container that runs under Gantry, with a new network namespace in place of Gantry's. That one
 * goes on, and lends its root file system.
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
  const bundle = join(daemon.folder, "raw");
  mkdirSync(bundle);
  for (const namespace of spec.linux.namespaces) if (namespace.type === "network") delete namespace.path;
  spec.process.args = ["true"];
  spec.linux.cgroupsPath = "/gantry-bench/raw";
  const files = (mount: { destination: string }) =>
    !["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"].includes(mount.destination);
  spec.mounts = spec.mounts.filter(files);
  writeFileSync(join(bundle, "config.json"), JSON.stringify(spec));
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
    dispose: async () => void (await daemon.call("DELETE", `/containers/${Id}?force=1`)),
  };
}
