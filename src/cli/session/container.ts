/** A terminal or pipe joined to a container: attach, start if wanted, carry, and the container's exit code. */

import { errorMessage } from "../../base/errors.ts";
import type { Client } from "../../client/client.ts";
import { ExitError } from "../command.ts";
import type { Context } from "../context.ts";
import { carry } from "./carry.ts";
import { forwardSignals } from "./signals.ts";
import { followSize } from "./terminal.ts";

export interface Joined {
  readonly id: string;
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly logs?: boolean;
  readonly detachKeys: string;
  readonly forwardSignals: boolean;
  /** It goes when it ends: its exit code comes with the removal. */
  readonly autoRemove: boolean;
  /** Start it between attaching and carrying. */
  readonly start: boolean;
}

export interface Ended {
  readonly detached: boolean;
  /** The container's exit code; 0 when detached. */
  readonly code: number;
}

export class StartFailed extends Error {}

/** Throws StartFailed (its cause says why) when the start is refused; with `autoRemove`, when the container is gone. */
export async function joinContainer(context: Context, joined: Joined): Promise<Ended> {
  const { containers } = context.client;
  const { id, tty, stdin, stdout, stderr, logs, detachKeys } = joined;
  const hijacked = await containers.attach(id, { stdin, stdout, stderr, logs, detachKeys });
  const condition = joined.autoRemove ? "removed" : joined.start ? "next-exit" : "not-running";
  const waiting = await containers.wait(id, condition);
  const stopSignals = joined.forwardSignals ? forwardSignals((signal) => containers.kill(id, signal)) : () => {};
  let stopSize = () => {};
  try {
    // Output is read from the first byte on, also while the start is still under way.
    const carried = carry(context, { hijacked, tty, stdin, detachKeys });
    carried.catch(() => {});
    if (joined.start) await start(context.client, joined, waiting.result, () => hijacked.stream.destroy());
    if (tty) stopSize = followSize(({ rows, columns }) => void containers.resize(id, rows, columns).catch(() => {}));
    if (await carried) return { detached: true, code: 0 };
    const { StatusCode, Error: failure } = await waiting.result;
    if (failure?.Message) throw new ExitError(125, failure.Message);
    return { detached: false, code: StatusCode };
  } finally {
    stopSize();
    stopSignals();
  }
}

async function start(
  client: Client,
  { id, autoRemove, detachKeys }: Joined,
  gone: Promise<unknown>,
  leave: () => void,
): Promise<void> {
  try {
    await client.containers.start(id, { detachKeys });
  } catch (error) {
    leave();
    if (autoRemove) await gone.catch(() => {});
    throw new StartFailed(errorMessage(error), { cause: error });
  }
}

/** As a shell's: 127 for a program that is not there, 126 for one that can't be run, 125 for everything else. */
export function startExitCode(message: string): number {
  if (/executable file not found|no such file or directory|system cannot find the file specified/.test(message))
    return 127;
  if (/permission denied|is a directory/.test(message)) return 126;
  return 125;
}
