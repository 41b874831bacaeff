/** Users and passwords of an htpasswd file. Only bcrypt: the file's other formats are broken by anyone who reads it. */
import { readFileSync, statSync } from "node:fs";
import { EngineError, errorMessage } from "../../base/errors.ts";

const HASH = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;
/** A user's name goes into tokens, logs and events. */
const USER = /^[^\s:\x00-\x1f\x7f]{1,255}$/;
/** Rounds that a login may cost: 2^16 takes some seconds. */
const MAX_COST = 16;

export type Users = ReadonlyMap<string, string>;

/** Throws "invalid", naming the line. Empty lines and comments are skipped. */
export function parseHtpasswd(text: string, path: string): Users {
  const users = new Map<string, string>();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const colon = line.indexOf(":");
    const [user, hash] = [line.slice(0, colon), line.slice(colon + 1).trim()];
    const cost = Number(HASH.exec(hash)?.[1] ?? Number.NaN);
    if (colon < 1 || !USER.test(user)) throw bad(path, index, "is not of the form user:hash");
    if (Number.isNaN(cost)) throw bad(path, index, `has a password of ${user} that is not hashed with bcrypt`);
    if (cost > MAX_COST) throw bad(path, index, `has a bcrypt cost of ${cost}, at most ${MAX_COST} is accepted`);
    users.set(user, hash);
  }
  return users;
}

function bad(path: string, index: number, problem: string): EngineError {
  return new EngineError("invalid", `${path}: line ${index + 1} ${problem}`, {
    hint: "make lines with: gantry registry htpasswd USER",
  });
}

/** The file's users, read again when it changed. A broken new version leaves those of the last good one. */
export class HtpasswdFile {
  readonly #path: string;
  readonly #broken: (error: unknown) => void;
  #stamp = "";
  #users: Users = new Map();
  #lookedAt = 0;

  /** Throws "invalid" when the file cannot be read. `broken` is told of later versions that cannot. */
  constructor(path: string, broken: (error: unknown) => void) {
    this.#path = path;
    this.#broken = broken;
    this.#read();
  }

  get users(): Users {
    // A look at the file each second, not at each request.
    if (Date.now() - this.#lookedAt < 1_000) return this.#users;
    try {
      this.#read();
    } catch (error) {
      this.#broken(error);
    }
    return this.#users;
  }

  #read(): void {
    this.#lookedAt = Date.now();
    try {
      const { mtimeMs, size, ino } = statSync(this.#path);
      const stamp = `${mtimeMs} ${size} ${ino}`;
      if (stamp === this.#stamp) return;
      this.#stamp = stamp;
      this.#users = parseHtpasswd(readFileSync(this.#path, "utf8"), this.#path);
    } catch (error) {
      if (error instanceof EngineError) throw error;
      throw new EngineError("invalid", `cannot read ${this.#path}: ${errorMessage(error)}`, { cause: error });
    }
  }
}
