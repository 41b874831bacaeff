import { closeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { errnoOf } from "../base/errors.ts";
import { native } from "./native.ts";
import { openSocket } from "./netns.ts";

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
/** Milliseconds between tries while the other side's queue is full. */
const PAUSE = 5;

/** Sends datagrams to the unix socket at a path, which has at most 107 bytes. */
export class UnixDatagrams {
  readonly #path: string;
  readonly #fd: number;

  constructor(path: string) {
    this.#path = path;
    this.#fd = openSocket({ netns: undefined, family: AF_UNIX, type: SOCK_DGRAM, protocol: 0 });
  }

  /** Resolves when the kernel has it; waits for room until the signal aborts. Rejects with the system's error, such as ENOENT. */
  async send(bytes: Buffer, signal?: AbortSignal): Promise<void> {
    for (;;) {
      try {
        native.sendUnixDatagram(this.#fd, this.#path, bytes);
        return;
      } catch (error) {
        if (errnoOf(error) !== "EAGAIN") throw error;
        await sleep(PAUSE, undefined, signal === undefined ? {} : { signal });
      }
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}
