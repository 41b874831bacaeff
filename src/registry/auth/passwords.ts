/** Checks passwords in a worker, one after another, and remembers for a while which were right. */
import { createHmac, randomBytes } from "node:crypto";
import { Worker } from "node:worker_threads";
import { RegistryError } from "../errors.ts";
import type { BcryptJob, BcryptResult } from "./bcrypt-worker.ts";

/** Passwords that wait to be checked. */
const QUEUE_LIMIT = 64;
/** Milliseconds a right password is remembered; clients send it with each request. */
const REMEMBER = 10 * 60_000;
const REMEMBER_LIMIT = 1_000;
/** bcrypt looks at no more bytes than this. */
const PASSWORD_LIMIT = 72;
/** Of a password nobody knows: checking unknown users takes as long as checking known ones. */
const NOBODY = "$2b$10$CwTycUXWue0Thq9StjUM0uJ8.5jW6eZ5c0rQ0pDZJxwZ5c9b5l5eW";

type Waiting = (value: boolean | string) => void;
type NewJob = { readonly password: string } & ({ readonly hash: string } | { readonly cost: number });

export class Passwords {
  readonly #secret = randomBytes(32);
  /** Of right passwords with their hashes → when to forget them, in milliseconds since the epoch. */
  readonly #right = new Map<string, number>();
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #lastId = 0;

  /** Whether it is the password of a hash; undefined: of a user that does not exist. Throws TOOMANYREQUESTS. */
  async matches(password: string, hash: string | undefined): Promise<boolean> {
    if (Buffer.byteLength(password) > PASSWORD_LIMIT) return false;
    const key = createHmac("sha256", this.#secret).update(`${hash}\n${password}`).digest("base64");
    if ((this.#right.get(key) ?? 0) > Date.now()) return hash !== undefined;
    if (this.#waiting.size >= QUEUE_LIMIT)
      throw new RegistryError("TOOMANYREQUESTS", "too many logins at a time", { headers: { "Retry-After": "2" } });
    const right = (await this.#ask({ password, hash: hash ?? NOBODY })) === true && hash !== undefined;
    if (right) this.#remember(key);
    return right;
  }

  async hash(password: string, cost: number): Promise<string> {
    return String(await this.#ask({ password, cost }));
  }

  async close(): Promise<void> {
    this.#giveUp();
    await this.#worker?.terminate();
    this.#worker = undefined;
  }

  #remember(key: string): void {
    if (this.#right.size >= REMEMBER_LIMIT) this.#right.clear();
    this.#right.set(key, Date.now() + REMEMBER);
  }

  #ask(job: NewJob): Promise<boolean | string> {
    this.#worker ??= this.#start();
    const worker = this.#worker;
    const id = ++this.#lastId;
    // It keeps the process alive only while somebody waits for it.
    worker.ref();
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      worker.postMessage({ ...job, id } satisfies BcryptJob);
    });
  }

  #giveUp(): void {
    for (const resolve of this.#waiting.values()) resolve(false);
    this.#waiting.clear();
  }

  #start(): Worker {
    const worker = new Worker(new URL("./bcrypt-worker.ts", import.meta.url), { execArgv: [], stdin: false });
    worker.on("message", ({ id, value }: BcryptResult) => {
      this.#waiting.get(id)?.(value);
      this.#waiting.delete(id);
      if (this.#waiting.size === 0) worker.unref();
    });
    worker.on("error", () => {
      this.#worker = undefined;
      this.#giveUp();
    });
    return worker;
  }
}
