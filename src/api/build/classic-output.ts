/**
 * A build's events as the classic builder's lines: one step after another in the file's order, though they run side by side. What a later
 * step says waits until the earlier ones are drawn.
 */
import { StringDecoder } from "node:string_decoder";
import type { Digest } from "../../base/digest.ts";
import { EngineError, errorMessage } from "../../base/errors.ts";
import { shortId } from "../../base/ids.ts";
import type { BuildEvent, Vertex } from "../../builder/builder.ts";
import { DockerfileError } from "../../builder/dockerfile/errors.ts";
import type { Warning } from "../../builder/dockerfile/language.ts";
import { BuildError } from "../../builder/errors.ts";
import type { WriteLine } from "../route.ts";

export interface ClassicOptions {
  readonly write: WriteLine;
  /** Whether intermediate containers are said to be removed (they always are). */
  readonly rm: boolean;
}

/** Characters of waiting steps that are kept. */
const MAX_HELD = 4 << 20;

const RED = "\x1b[91m";
const PLAIN = "\x1b[0m";

interface Step {
  vertex: Vertex;
  /** Output in order, as it will be drawn. */
  held: string[];
  size: number;
  decoders: Map<number, StringDecoder>;
  announced: boolean;
  /** "Running in" was drawn. */
  running: boolean;
}

export class ClassicOutput {
  readonly #write: WriteLine;
  readonly #rm: boolean;
  /** By number, from 1. */
  readonly #steps = new Map<number, Step>();
  readonly #numbers = new Map<Digest, number>();
  readonly #warnings: Warning[] = [];
  #current = 1;
  #held = 0;

  constructor({ write, rm }: ClassicOptions) {
    this.#write = write;
    this.#rm = rm;
  }

  event(event: BuildEvent): void {
    if (event.type === "vertex") this.#vertex(event.vertex);
    else if (event.type === "log") this.#log(event.vertex, event.stream, event.data);
    else if (event.type === "transfer") this.#transfer(event);
    else this.#warnings.push(event.warning);
  }

  /** The last lines of a build that succeeded. */
  finish(
    id: Digest | undefined,
    { tags = [], unused = [] }: { readonly tags?: readonly string[]; readonly unused?: readonly string[] } = {},
  ): void {
    this.#advance();
    for (const { rule, message, range } of this.#warnings)
      this.#stream(`[Warning] ${rule}: ${message} (line ${range.start.line})\n`);
    if (unused.length > 0) this.#stream(`[Warning] One or more build-args [${unused.join(" ")}] were not consumed\n`);
    if (id === undefined) return;
    this.#write({ aux: { ID: id } });
    this.#stream(`Successfully built ${shortId(id)}\n`);
    for (const tag of tags) this.#stream(`Successfully tagged ${tag}\n`);
  }

  /** Draws what was under way when the build failed: the steps that ran, and what they said. */
  fail(): void {
    for (const [number, step] of [...this.#steps].sort(([a], [b]) => a - b)) {
      if (number < this.#current || step.vertex.startedAt === undefined) continue;
      if (step.vertex.completedAt === undefined && step.vertex.error === undefined) continue;
      this.#announce(step);
      this.#begin(step);
      this.#flush(step);
    }
  }

  #vertex(vertex: Vertex): void {
    const number = vertex.step?.number;
    if (number === undefined) return;
    const step = this.#steps.get(number);
    if (step !== undefined && step.vertex.digest === vertex.digest) step.vertex = vertex;
    else
      this.#steps.set(number, {
        vertex,
        held: [],
        size: 0,
        decoders: new Map(),
        announced: false,
        running: false,
      });
    this.#numbers.set(vertex.digest, number);
    this.#advance();
  }

  #log(digest: Digest, stream: 1 | 2, data: Buffer): void {
    const step = this.#steps.get(this.#numbers.get(digest) ?? 0);
    if (step === undefined) return;
    const decoder = step.decoders.get(stream) ?? new StringDecoder("utf8");
    step.decoders.set(stream, decoder);
    const text = decoder.write(data);
    if (text === "") return;
    step.held.push(stream === 2 ? `${RED}${text}${PLAIN}` : text);
    step.size += text.length;
    this.#held += text.length;
    if (step.vertex.step?.number === this.#current && step.announced) this.#flush(step);
    else if (this.#held > MAX_HELD) this.#forget(step);
  }

  /** The oldest lines of a step that talks much while another is drawn. */
  #forget(step: Step): void {
    this.#held -= step.size;
    step.held = [`[output of this step was left out: it said more than ${MAX_HELD} bytes while an earlier one ran]\n`];
    step.size = 0;
  }

  #transfer({ id, current, total, completed }: Extract<BuildEvent, { type: "transfer" }>): void {
    const status = completed ? "Download complete" : "Downloading";
    this.#write({
      status,
      progressDetail: completed ? {} : { current, ...(total === undefined ? {} : { total }) },
      id: /^sha256:[0-9a-f]{64}$/.test(id) ? shortId(id) : id,
    });
  }

  /** Draws as far as the steps have come. */
  #advance(): void {
    for (let step = this.#steps.get(this.#current); step !== undefined; step = this.#steps.get(this.#current)) {
      const { startedAt, completedAt, cached } = step.vertex;
      if (startedAt === undefined && completedAt === undefined) return;
      this.#announce(step);
      if (cached && !/^FROM\b/i.test(step.vertex.step?.text ?? "")) this.#stream(" ---> Using cache\n");
      else this.#begin(step);
      this.#flush(step);
      if (completedAt === undefined || step.vertex.error !== undefined) return;
      this.#end(step);
      this.#current++;
    }
  }

  #announce(step: Step): void {
    if (step.announced) return;
    step.announced = true;
    const { number = 0, total = 0, text = step.vertex.name } = step.vertex.step ?? {};
    this.#stream(`Step ${number}/${Math.max(total, number)} : ${text}`);
    this.#stream("\n");
  }

  #begin(step: Step): void {
    const { containerId } = step.vertex;
    if (step.running || containerId === undefined) return;
    step.running = true;
    this.#stream(` ---> Running in ${shortId(containerId)}\n`);
  }

  #flush(step: Step): void {
    for (const text of step.held) this.#stream(text);
    this.#held -= step.size;
    step.held = [];
    step.size = 0;
  }

  #end({ vertex: { containerId, imageId, cached }, decoders }: Step): void {
    for (const decoder of decoders.values()) this.#stream(decoder.end());
    if (this.#rm && containerId !== undefined && !cached)
      this.#stream(` ---> Removed intermediate container ${shortId(containerId)}\n`);
    if (imageId !== undefined) this.#stream(` ---> ${shortId(imageId)}\n`);
  }

  #stream(text: string): void {
    if (text !== "") this.#write({ stream: text });
  }
}

/** The last line of a build that failed, as the classic builder words it; the CLI exits with `code`. */
export function classicError(error: unknown): object {
  const message = [classicMessage(error), ...details(error)].join("\n");
  const code = error instanceof BuildError ? error.step.exitCode : undefined;
  return { errorDetail: { ...(code === undefined ? {} : { code }), message }, error: message };
}

function classicMessage(error: unknown): string {
  const message = errorMessage(error);
  if (!(error instanceof BuildError) || error.step.exitCode === undefined) return message;
  const command = /^process "(.*)" did not complete successfully/s.exec(message)?.[1];
  return command === undefined ? message : `The command '${command}' returned a non-zero code: ${error.step.exitCode}`;
}

function details(error: unknown): string[] {
  const hint = error instanceof EngineError && error.hint !== undefined ? [error.hint] : [];
  return [...excerptOf(error), ...hint];
}

function excerptOf(error: unknown): string[] {
  const excerpt =
    error instanceof BuildError ? error.step.excerpt : error instanceof DockerfileError ? error.excerpt : "";
  return excerpt === "" ? [] : [excerpt.trimEnd()];
}

/** For an answer that is an error as a whole: the lines of the Dockerfile are in its message. */
export function withLines(error: unknown): unknown {
  const excerpt = excerptOf(error);
  if (!(error instanceof EngineError) || excerpt.length === 0) return error;
  return new EngineError(error.kind, [error.message, ...excerpt].join("\n"), { hint: error.hint, cause: error });
}
