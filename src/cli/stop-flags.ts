/** The flags that `stop` and `restart` share. */
import type { FlagSpec, ParsedFlags } from "./flags/spec.ts";

export const STOP_FLAGS: readonly FlagSpec[] = [
  { name: "signal", short: "s", type: "string", help: "Signal to send first" },
  { name: "timeout", short: "t", type: "int", help: "Seconds to wait before the container is killed" },
  { name: "time", type: "int", help: "Seconds to wait before the container is killed", hidden: true },
];

export function stopOptions(flags: ParsedFlags): { timeout?: number; signal?: string } {
  if (flags.changed("time") && flags.changed("timeout"))
    throw new Error("conflicting options: cannot specify both --timeout and --time");
  const name = ["timeout", "time"].find((one) => flags.changed(one));
  return {
    ...(name === undefined ? {} : { timeout: flags.number(name) }),
    ...(flags.text("signal") === "" ? {} : { signal: flags.text("signal") }),
  };
}
