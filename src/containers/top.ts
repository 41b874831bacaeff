import type { ContainerTop } from "../api/types/container.ts";
import { EngineError } from "../base/errors.ts";
import { listProcesses } from "../kernel/ps.ts";
import type { Container } from "./container.ts";
import type { Context } from "./context.ts";
import { notify } from "./notify.ts";
import { refuseNotRunning } from "./pause.ts";

/** The machine's own ps, with the lines of the container's processes. */
export async function containerTop(
  context: Context,
  container: Container,
  psArguments: string | undefined,
): Promise<ContainerTop> {
  refuseNotRunning(container);
  const pids = new Set(await context.runtime.pids(container.id));
  const { titles, rows } = await listProcesses(psArguments || "-ef");
  const pidColumn = titles.indexOf("PID");
  if (pidColumn < 0) throw new EngineError("invalid", "Couldn't find PID field in ps output");
  notify(context, container, "top");
  return { Titles: titles, Processes: rows.filter((row) => pids.has(Number(row[pidColumn]))) };
}
