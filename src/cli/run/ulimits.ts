import { parseInt64 } from "../flags/values.ts";

const NAMES = new Set(
  "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split(" "),
);

export interface Ulimit {
  readonly Name: string;
  readonly Hard: number;
  readonly Soft: number;
}

/** "nofile=1024:2048"; one number counts for both. Throws with docker's words. */
export function parseUlimit(text: string): Ulimit {
  const equals = text.indexOf("=");
  if (equals < 0) throw new Error(`invalid ulimit argument: ${text}`);
  const name = text.slice(0, equals);
  if (!NAMES.has(name)) throw new Error(`invalid ulimit type: ${name}`);
  const parts = text.slice(equals + 1).split(":");
  if (parts.length > 2)
    throw new Error(
      `too many limit value arguments - ${text.slice(equals + 1)}, can only have up to two, \`soft[:hard]\``,
    );
  const soft = parseInt64(parts[0] ?? "");
  const hard = parts[1] === undefined ? soft : parseInt64(parts[1]);
  if (hard !== -1 && (soft > hard || soft === -1))
    throw new Error(`ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`);
  return { Name: name, Hard: hard, Soft: soft };
}
