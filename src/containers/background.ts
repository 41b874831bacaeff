import { errorMessage } from "../base/errors.ts";
import type { Context } from "./context.ts";

/** Runs work that nobody waits for; `dispose` does. Failures are logged. */
export function inBackground(
  { background, logger }: Context,
  what: string,
  work: () => Promise<unknown>,
): Promise<void> {
  const running = work().then(
    () => {},
    (error) => logger.log("error", `${what} failed`, { error: errorMessage(error) }),
  );
  background.add(running);
  return running.finally(() => background.delete(running));
}
