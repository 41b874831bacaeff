/** `-v`: "/target", "name-or-path:/target", "name-or-path:/target:mode,mode". */
import { posix } from "node:path";
import { EngineError } from "../base/errors.ts";

export interface BindSpec {
  /** A path on the host or a volume's name; undefined: an anonymous volume. */
  readonly source: string | undefined;
  readonly destination: string;
  readonly mode: string;
  readonly writable: boolean;
  readonly propagation: string | undefined;
  readonly noCopy: boolean;
  /** See id-map.ts. */
  readonly idMap: string | undefined;
}

type Group = "idmap" | "access" | "label" | "propagation" | "copy" | "consistency";

const WORDS: Readonly<Record<string, Group>> = {
  rw: "access",
  ro: "access",
  z: "label",
  Z: "label",
  nocopy: "copy",
  private: "propagation",
  rprivate: "propagation",
  shared: "propagation",
  rshared: "propagation",
  slave: "propagation",
  rslave: "propagation",
  consistent: "consistency",
  cached: "consistency",
  delegated: "consistency",
  default: "consistency",
};

const FOR_BINDS: ReadonlySet<Group> = new Set(["propagation", "idmap"]);

/** Throws "invalid" with Docker's texts. */
export function parseBind(text: string): BindSpec {
  const parts = text.split(":");
  if (parts.length > 3 || parts[0] === "" || parts.some((part) => part === ""))
    throw new EngineError("invalid", `invalid volume specification: '${text}'`);
  const [first = "", second, third] = parts;
  // Two parts may be a target with a mode, though never in a way that Docker takes: "/a:ro" is a relative target.
  const source = second === undefined ? undefined : first;
  const destination = second ?? first;
  const isBind = source?.startsWith("/") === true;
  const type = isBind ? "bind" : "volume";
  const wrong = (message: string) =>
    new EngineError(
      "invalid",
      `invalid volume specification: '${text}': invalid mount config for type "${type}": ${message}`,
    );
  if (!destination.startsWith("/")) throw wrong(`invalid mount path: '${destination}' mount path must be absolute`);
  const clean = posix.normalize(destination).replace(/(.)\/$/, "$1");
  if (clean === "/") throw wrong("invalid specification: destination can't be '/'");
  const words = parseMode(third, { isBind });
  return {
    source,
    destination: clean,
    mode: third ?? "",
    writable: words.get("access") !== "ro",
    propagation: words.get("propagation"),
    noCopy: words.has("copy"),
    idMap: words.get("idmap"),
  };
}

/** Each kind of word at most once; propagation and idmap (Gantry's own) are for binds, nocopy for volumes. */
function parseMode(mode: string | undefined, { isBind }: { isBind: boolean }): Map<Group, string> {
  const words = new Map<Group, string>();
  for (const word of mode?.split(",") ?? []) {
    const mapped = /^idmap(?:=(.*))?$/.exec(word);
    const group = mapped ? "idmap" : Object.hasOwn(WORDS, word) ? WORDS[word] : undefined;
    const misplaced = group !== undefined && (isBind ? group === "copy" : FOR_BINDS.has(group));
    if (group === undefined || words.has(group) || misplaced) throw new EngineError("invalid", `invalid mode: ${mode}`);
    words.set(group, mapped ? (mapped[1] ?? "") : word);
  }
  return words;
}
