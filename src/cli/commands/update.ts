/** `gantry update`. */
import type { ContainerUpdateRequest } from "../../api/types/container.ts";
import { type Command, SOME_ARGUMENTS } from "../command.ts";
import { forEachName } from "../errors.ts";
import type { FlagSpec, ParsedFlags } from "../flags/spec.ts";
import { CONTAINER_FLAGS } from "../run/flags.ts";
import { restartPolicy } from "../run/host-config.ts";

/** Flags of `run` that can change later, and their fields. */
const FIELDS: Readonly<Record<string, keyof ContainerUpdateRequest>> = {
  "blkio-weight": "BlkioWeight",
  "cpu-period": "CpuPeriod",
  "cpu-quota": "CpuQuota",
  "cpu-rt-period": "CpuRealtimePeriod",
  "cpu-rt-runtime": "CpuRealtimeRuntime",
  "cpu-shares": "CpuShares",
  cpus: "NanoCpus",
  "cpuset-cpus": "CpusetCpus",
  "cpuset-mems": "CpusetMems",
  memory: "Memory",
  "memory-reservation": "MemoryReservation",
  "memory-swap": "MemorySwap",
  "pids-limit": "PidsLimit",
};
const FLAGS: readonly FlagSpec[] = CONTAINER_FLAGS.filter(({ name }) => name in FIELDS || name === "restart").map(
  (flag) => (flag.name === "restart" ? { ...flag, default: "" } : flag),
);

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  flags: FLAGS,
  arguments: SOME_ARGUMENTS,
  complete: "containers",
  run: async (context, flags) => {
    if (!FLAGS.some(({ name }) => flags.changed(name)))
      throw new Error("you must provide one or more flags when using this command");
    const request = updateRequest(flags);
    const warnings: string[] = [];
    const code = await forEachName(context, flags.positional, async (name) => {
      const { Warnings } = await context.client.containers.update(name, request);
      warnings.push(...(Warnings ?? []));
      return name;
    });
    if (warnings.length > 0) context.out.write(`${warnings.join("\n")}\n`);
    return code;
  },
};

function updateRequest(flags: ParsedFlags): ContainerUpdateRequest {
  const given = Object.entries(FIELDS).filter(([flag]) => flags.changed(flag));
  const value = (flag: string) => (flag.startsWith("cpuset") ? flags.text(flag) : flags.number(flag));
  return {
    ...Object.fromEntries(given.map(([flag, field]) => [field, value(flag)])),
    ...(flags.changed("restart") ? { RestartPolicy: restartPolicy(flags.text("restart")) } : {}),
  };
}
