/** Upstream answers for as long as they live: bounded in number and in bytes, the least used go first. */
import type { Response } from "./message.ts";

export interface CachedAnswer {
  readonly packet: Buffer;
  readonly ttls: Response["ttls"];
  /** Milliseconds of a clock that only goes forward. */
  readonly at: number;
}

interface Entry extends CachedAnswer {
  readonly until: number;
}

export const LIMITS = { entries: 4096, bytes: 2 << 20, answer: 4096, seconds: 300 } as const;

export class AnswerCache {
  readonly #entries = new Map<string, Entry>();
  readonly #now: () => number;
  #bytes = 0;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  get(key: string): (CachedAnswer & { readonly age: number }) | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#remove(key, entry);
    const now = this.#now();
    if (now >= entry.until) return undefined;
    this.#entries.set(key, entry);
    this.#bytes += entry.packet.length;
    return { ...entry, age: Math.floor((now - entry.at) / 1000) };
  }

  /** `ttl` in seconds; nothing is kept for 0, and nothing that is large. */
  put(key: string, packet: Buffer, { ttl, ttls }: Pick<Response, "ttl" | "ttls">): void {
    if (ttl <= 0 || packet.length > LIMITS.answer) return;
    const old = this.#entries.get(key);
    if (old !== undefined) this.#remove(key, old);
    const at = this.#now();
    this.#entries.set(key, { packet: Buffer.from(packet), ttls, at, until: at + Math.min(ttl, LIMITS.seconds) * 1000 });
    this.#bytes += packet.length;
    for (const [eldest, entry] of this.#entries) {
      if (this.#entries.size <= LIMITS.entries && this.#bytes <= LIMITS.bytes) return;
      this.#remove(eldest, entry);
    }
  }

  clear(): void {
    this.#entries.clear();
    this.#bytes = 0;
  }

  #remove(key: string, entry: Entry): void {
    this.#entries.delete(key);
    this.#bytes -= entry.packet.length;
  }
}
