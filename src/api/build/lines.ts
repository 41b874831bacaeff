/** A build's lines to a client, which may be slow: what a process says is left out before memory grows. */
import type { Duplex } from "node:stream";
import { EngineError, errorKind, errorMessage } from "../../base/errors.ts";
import type { BuildEvent } from "../../builder/builder.ts";
import { DockerfileError } from "../../builder/dockerfile/errors.ts";
import { BuildError } from "../../builder/errors.ts";
import type { BuildLine, CheckLine, WireBuildEvent, WireBuildFailure, WireVertex } from "../types/build.ts";

/** Bytes that wait for the client. */
const MAX_WAITING = 8 << 20;

export class BuildLines {
  readonly #channel: Duplex;
  #left = 0;

  constructor(channel: Duplex) {
    this.#channel = channel;
  }

  event(event: BuildEvent): void {
    const output = event.type === "log" || event.type === "transfer";
    if (output && this.#channel.writableLength > MAX_WAITING) {
      if (event.type === "log") this.#left += event.data.length;
      return;
    }
    if (event.type === "log" && this.#left > 0) {
      const words = `[${this.#left} bytes of output were left out: the client was slow]\n`;
      this.#left = 0;
      this.event({ ...event, data: Buffer.from(words) });
    }
    this.line({ event: wireEvent(event) });
  }

  line(line: BuildLine | CheckLine): void {
    if (!this.#channel.destroyed) this.#channel.write(`${JSON.stringify(line)}\n`);
  }

  /** The last line; resolves when it is out or the client is gone. */
  async end(line: BuildLine | CheckLine): Promise<void> {
    this.line(line);
    if (this.#channel.destroyed) return;
    await new Promise<void>((resolve) => {
      this.#channel.once("close", resolve);
      this.#channel.end(() => resolve());
    });
  }
}

function wireEvent(event: BuildEvent): WireBuildEvent {
  if (event.type === "log") return { ...event, data: event.data.toString("base64") };
  return event.type === "vertex" ? { type: "vertex", vertex: wireVertex(event.vertex) } : event;
}

function wireVertex(vertex: Extract<BuildEvent, { type: "vertex" }>["vertex"]): WireVertex {
  const { digest, inputs, name, step, startedAt, completedAt, cached, error } = vertex;
  const shown = step === undefined ? undefined : { number: step.number, total: step.total, text: step.text };
  return { digest, inputs, name, step: shown, startedAt, completedAt, cached, error };
}

export function failureLine(error: unknown): { readonly failure: WireBuildFailure } {
  const hint = error instanceof EngineError ? error.hint : undefined;
  return { failure: { kind: errorKind(error), message: errorMessage(error), hint, step: wireStep(error) } };
}

/** Where in the Dockerfile it went wrong. */
function wireStep(error: unknown): WireBuildFailure["step"] {
  if (error instanceof DockerfileError) {
    const { file, line, excerpt } = error;
    return { file, line, excerpt };
  }
  if (!(error instanceof BuildError)) return undefined;
  const { id, exitCode, file, range, excerpt } = error.step;
  return { id, exitCode, file, line: range.start.line, excerpt };
}
