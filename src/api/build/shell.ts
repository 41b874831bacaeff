/** A shell in the state that a failed step left. */
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { EngineError } from "../../base/errors.ts";
import { bytesOf } from "../../base/mux.ts";
import type { ShellSession } from "../../builder/builder.ts";
import { boolean, decode, int64, list, string, struct } from "../json/schema.ts";
import type { BuildCall, WireShell } from "../types/build.ts";
import type { Serving } from "./session.ts";

const wireShell = struct<WireShell>("Shell", { terminal: boolean, rows: int64, columns: int64, command: list(string) });

export async function serveShell(
  { step, shell }: Extract<BuildCall, { call: "shell" }>,
  channel: Duplex,
  { engine, asked, signal }: Serving,
): Promise<void> {
  const options = decode(wireShell, shell);
  if (options === undefined || typeof step !== "string")
    throw new EngineError("invalid", "which step's shell is missing");
  const { terminal, rows, columns, command } = options;
  const size = rows > 0 && columns > 0 ? ([rows, columns] as const) : undefined;
  const session = await engine.builder.shell(step, { command, terminal, size, signal });
  const io = asked.shell(signal);
  void resizes(channel, session);
  void pipeline(bytesOf(io), session.input).catch(() => {});
  await pipeline(session.output, io, { end: true }).catch(() => {});
  const exitCode = await session.exitCode;
  channel.end(`${JSON.stringify({ exitCode })}\n`);
}

/** The client's lines; what is no size is left alone. */
async function resizes(channel: Duplex, session: ShellSession): Promise<void> {
  let held = "";
  try {
    for await (const chunk of bytesOf(channel)) {
      const lines = (held + chunk.toString()).split("\n");
      held = (lines.pop() ?? "").slice(0, 1000);
      for (const line of lines) {
        const { rows, columns } = JSON.parse(line) as Record<string, unknown>;
        if (typeof rows === "number" && typeof columns === "number") await session.resize(rows, columns);
      }
    }
  } catch {
    // The terminal keeps its size.
  }
}
