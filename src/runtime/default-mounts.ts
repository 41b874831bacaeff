import { existsSync } from "node:fs";
import type { SpecMount } from "./spec-types.ts";

/** Where a container's /dev/shm comes from: its own of so many bytes, a folder of the host (shared), or none at all. */
export type ShmSource = { readonly size: number } | { readonly path: string } | "none";

export interface DefaultMountChoices {
  readonly shm: ShmSource;
  /** The message queues are the host's. */
  readonly hostIpc: boolean;
  readonly privileged: boolean;
  readonly writableCgroups: boolean;
}

/** The file systems that every container has, in the order they must be mounted. */
export function defaultMounts({ shm, hostIpc, privileged, writableCgroups }: DefaultMountChoices): SpecMount[] {
  const quiet = ["nosuid", "noexec", "nodev"];
  return [
    { destination: "/proc", type: "proc", source: "proc", options: quiet },
    {
      destination: "/dev",
      type: "tmpfs",
      source: "tmpfs",
      options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
    },
    {
      destination: "/dev/pts",
      type: "devpts",
      source: "devpts",
      options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    },
    { destination: "/sys", type: "sysfs", source: "sysfs", options: [...quiet, privileged ? "rw" : "ro"] },
    {
      destination: "/sys/fs/cgroup",
      type: "cgroup",
      source: "cgroup",
      options: [...quiet, privileged || writableCgroups ? "rw" : "ro"],
    },
    // Where the host has them nowhere a mount of our own shows the same ones.
    hostIpc && existsSync("/dev/mqueue")
      ? { destination: "/dev/mqueue", type: "bind", source: "/dev/mqueue", options: ["rbind", ...quiet] }
      : { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: quiet },
    ...shmMount(shm),
  ];
}

function shmMount(shm: ShmSource): SpecMount[] {
  if (shm === "none") return [];
  const quiet = ["nosuid", "noexec", "nodev"];
  if ("path" in shm)
    return [{ destination: "/dev/shm", type: "bind", source: shm.path, options: ["rbind", "rprivate"] }];
  return [
    { destination: "/dev/shm", type: "tmpfs", source: "shm", options: [...quiet, "mode=1777", `size=${shm.size}`] },
  ];
}
