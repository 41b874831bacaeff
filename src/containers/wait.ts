import type { ContainerWaitResult } from "../api/types/container.ts";
import { EngineError } from "../base/errors.ts";
import type { Container } from "./container.ts";
import type { WaitCondition } from "./containers.ts";
import { exitResult } from "./exit.ts";
import { isRunning } from "./state.ts";

/** Watches from the call on; the result comes at once when the condition is met already. Rejects with "cancelled" on the signal. */
export function waitFor(
  container: Container,
  condition: WaitCondition,
  signal: AbortSignal | undefined,
): Promise<ContainerWaitResult> {
  if (condition === "not-running" && !isRunning(container.state)) return Promise.resolve(exitResult(container));
  const waiters = condition === "removed" ? container.removalWaiters : container.exitWaiters;
  const { promise, resolve, reject } = Promise.withResolvers<ContainerWaitResult>();
  waiters.add(resolve);
  const cancel = () => {
    waiters.delete(resolve);
    reject(new EngineError("cancelled", "the wait was given up"));
  };
  if (signal?.aborted) cancel();
  signal?.addEventListener("abort", cancel, { once: true });
  const forget = () => signal?.removeEventListener("abort", cancel);
  promise.then(forget, forget);
  return promise;
}
