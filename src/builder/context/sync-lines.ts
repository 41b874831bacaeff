import { EngineError } from "../../base/errors.ts";
import { cleanEntryPath } from "../../base/tar/names.ts";
import type { SyncLine } from "./contexts.ts";

/** A line of a client's listing, checked: "invalid" for what no walk of a folder gives. */
export function readSyncLine(text: string): SyncLine {
  const line = parsed(text);
  if (!Array.isArray(line) || line.length !== 7) throw wrong(text);
  const [path, kind, mode, mtime, size, link, stamp] = line as unknown[];
  const right =
    typeof path === "string" &&
    path !== "" &&
    !path.includes("\0") &&
    cleanEntryPath(path) === path &&
    (kind === "f" || kind === "d" || kind === "l" || kind === "h") &&
    isCount(mode, 0o7777) &&
    typeof mtime === "string" &&
    /^-?\d{1,20}$/.test(mtime) &&
    isCount(size, Number.MAX_SAFE_INTEGER) &&
    (kind === "f" || size === 0) &&
    typeof link === "string" &&
    (kind === "l" || kind === "h") === (link !== "") &&
    !link.includes("\0") &&
    (kind !== "h" || cleanEntryPath(link) === link) &&
    typeof stamp === "string";
  if (!right) throw wrong(text);
  if (isLong(path) || isLong(link))
    throw new EngineError("invalid", `the build context has a path of more than ${MAX_PATH} bytes`, {
      hint: "The kernel takes no longer one. Leave it out with a .dockerignore file.",
    });
  return line as unknown as SyncLine;
}

/** Bytes of a path or a link's target: PATH_MAX without its final zero. */
const MAX_PATH = 4095;

const isLong = (path: string): boolean =>
  path.length > MAX_PATH || (path.length * 3 > MAX_PATH && Buffer.byteLength(path) > MAX_PATH);

const isCount = (value: unknown, max: number): boolean =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && value <= max;

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw wrong(text);
  }
}

const wrong = (text: string): EngineError =>
  new EngineError("invalid", `the listing of the build context has a wrong line: ${text.slice(0, 200)}`);
