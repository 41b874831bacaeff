/** A container that counts, gantryd killed at random points meanwhile, and a follower that goes on with the next one where it stopped. */
import type { IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { TestDaemon } from "../../src/testing/daemon.ts";

export interface CountingOptions {
  readonly lines: number;
  /** So many at once, then 20 ms of rest. */
  readonly atOnce: number;
  readonly kills: number;
  /** Milliseconds between a start and the next kill, at most. */
  readonly within: number;
  readonly log: { readonly Type: string; readonly Config: Readonly<Record<string, string>> };
}

export interface Counted {
  /** What is wrong with them; undefined when every line came once and in order. */
  readonly followed: string | undefined;
  readonly read: string | undefined;
  readonly connections: number;
}

export async function countThroughKills(daemon: TestDaemon, options: CountingOptions): Promise<Counted> {
  const { lines, atOnce, kills, within, log } = options;
  const script = `i=0; while [ $i -lt ${lines} ]; do seq $((i+1)) $((i+${atOnce})); i=$((i+${atOnce})); usleep 20000; done`;
  const { Id } = await daemon.call<{ Id: string }>("POST", "/containers/create", {
    Image: "busybox",
    Cmd: ["sh", "-c", script],
    HostConfig: { NetworkMode: "none", LogConfig: log },
  });
  await daemon.call("POST", `/containers/${Id}/start`);
  const follower = new Follower(daemon, Id, lines);
  const following = follower.untilEnd();
  for (let kill = 0; kill < kills; kill++) {
    await sleep(Math.random() * within);
    await daemon.kill();
    await daemon.start();
  }
  await daemon.call("POST", `/containers/${Id}/wait`);
  follower.isOver = true;
  await following;
  const read = new Sequence(lines);
  await eachLine(await daemon.open("GET", `/containers/${Id}/logs?stdout=1&timestamps=1`), (line) => read.take(line));
  await daemon.call("DELETE", `/containers/${Id}`);
  return { followed: follower.sequence.problem(), read: read.problem(), connections: follower.connections };
}

/** Follows with `since` the last time it saw, and passes over the lines of that time that it has. */
class Follower {
  readonly sequence: Sequence;
  connections = 0;
  /** The container has ended: one more connection has all that there will be. */
  isOver = false;
  readonly #daemon: TestDaemon;
  readonly #id: string;
  #time = "";
  #ofThatTime = 0;

  constructor(daemon: TestDaemon, id: string, lines: number) {
    this.#daemon = daemon;
    this.#id = id;
    this.sequence = new Sequence(lines);
  }

  async untilEnd(): Promise<void> {
    for (let last = false; !last && !this.sequence.isComplete && this.sequence.wrong === undefined; ) {
      this.connections++;
      last = this.isOver;
      await this.#connect().catch(() => sleep(20));
    }
  }

  async #connect(): Promise<void> {
    const since = this.#time === "" ? "" : `&since=${seconds(this.#time)}`;
    let known = this.#ofThatTime;
    const from = this.#time;
    const path = `/containers/${this.#id}/logs?stdout=1&timestamps=1&follow=1${since}`;
    await eachLine(await this.#daemon.open("GET", path), (line) => {
      const time = line.slice(0, line.indexOf(" "));
      if (time === from && known > 0) {
        known--;
        return;
      }
      this.#ofThatTime = time === this.#time ? this.#ofThatTime + 1 : 1;
      this.#time = time;
      this.sequence.take(line);
    });
  }
}

/** 1, 2, 3 … as lines with a time before each. */
class Sequence {
  readonly #lines: number;
  #last = 0;
  wrong: string | undefined;

  constructor(lines: number) {
    this.#lines = lines;
  }

  get isComplete(): boolean {
    return this.#last >= this.#lines;
  }

  take(line: string): void {
    if (this.wrong !== undefined) return;
    if (Number(line.slice(line.indexOf(" ") + 1)) === this.#last + 1) this.#last++;
    else this.wrong = `after ${this.#last} came ${JSON.stringify(line.slice(0, 100))}`;
  }

  problem(): string | undefined {
    return this.wrong ?? (this.isComplete ? undefined : `it ends after ${this.#last} of ${this.#lines}`);
  }
}

/** RFC 3339 to "seconds.nanoseconds". */
function seconds(time: string): string {
  const [whole = "", fraction = ""] = time.slice(0, -1).split(".");
  return `${Date.parse(`${whole}Z`) / 1000}.${fraction.padEnd(9, "0")}`;
}

/** Of a stream of Docker's frames. A connection that breaks ends the lines; half a line is given up, half a frame too. */
async function eachLine(response: IncomingMessage, take: (line: string) => void): Promise<void> {
  let frames: Buffer = Buffer.alloc(0);
  let text = "";
  for await (const chunk of response as AsyncIterable<Buffer>) {
    frames = frames.length === 0 ? chunk : Buffer.concat([frames, chunk]);
    let at = 0;
    for (; at + 8 <= frames.length; ) {
      const end = at + 8 + frames.readUInt32BE(at + 4);
      if (end > frames.length) break;
      text += frames.toString("latin1", at + 8, end);
      at = end;
    }
    frames = frames.subarray(at);
    const lines = text.split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) take(line);
  }
}
