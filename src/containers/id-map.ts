/** The mapping of an id-mapped bind, written as in Podman: `uids=0-1000-1#1-100000-999;gids=0-1000-1`. */
import { EngineError } from "../base/errors.ts";

export interface IdMap {
  /** Lines of user_namespaces(7): an id that the files have, the id that is seen for it, how many. */
  readonly uids: string;
  readonly gids: string;
}

/** The half that is not given. */
const SAME = "0 0 4294967295";
const MOST = 2 ** 32 - 1;
/** The kernel's limit on the lines of a map. */
const MOST_RANGES = 340;

const HINT = "write idmap=uids=0-1000-1;gids=0-1000-1: an id that the files have, the id to see for it, how many";

/** Throws "invalid". Ranges must not overlap; that is left to the kernel. */
export function parseIdMap(text: string): IdMap {
  const halves = new Map<string, string>();
  for (const half of text.split(";")) {
    const [name = "", ranges = ""] = half.split("=", 2);
    if ((name !== "uids" && name !== "gids") || halves.has(name)) throw wrong(text);
    halves.set(name, ranges.split("#").map(parseRange).join("\n"));
    if (ranges.split("#").length > MOST_RANGES) throw wrong(text);
  }
  return { uids: halves.get("uids") ?? SAME, gids: halves.get("gids") ?? SAME };

  function parseRange(range: string): string {
    const numbers = /^(\d{1,10})-(\d{1,10})-(\d{1,10})$/.exec(range)?.slice(1).map(Number);
    const [theirs = 0, ours = 0, count = 0] = numbers ?? [];
    if (count === 0 || theirs + count > MOST || ours + count > MOST) throw wrong(text);
    return `${theirs} ${ours} ${count}`;
  }
}

function wrong(text: string): EngineError {
  return new EngineError("invalid", `invalid idmap: ${JSON.stringify(text)}`, { hint: HINT });
}
