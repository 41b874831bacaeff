/** Progress as lines, each with its step's number: for logs and pipes. */
import { StringDecoder } from "node:string_decoder";
import type { WireBuildEvent, WireVertex } from "../../api/types/build.ts";
import { humanSize } from "../format/sizes.ts";
import type { Output } from "../output.ts";
import { type Display, LineCutter, seconds } from "./progress-text.ts";

interface Step {
  readonly number: number;
  vertex: WireVertex;
  finished: boolean;
  readonly streams: Map<number, { readonly decoder: StringDecoder; readonly lines: LineCutter }>;
  /** Of each transfer, the last that was told: milliseconds. */
  readonly transfers: Map<string, number>;
}

/** Milliseconds between two lines about one transfer. */
const TRANSFER_PAUSE = 5_000;

export class PlainDisplay implements Display {
  readonly #out: Output;
  readonly #steps = new Map<string, Step>();
  #last: Step | undefined;
  #count = 0;

  constructor(out: Output) {
    this.#out = out;
  }

  event(event: WireBuildEvent): void {
    if (event.type === "vertex") this.#vertex(event.vertex);
    else if (event.type === "log") this.#log(event);
    else if (event.type === "transfer") this.#transfer(event);
    else this.#warning(event);
  }

  finish(): void {
    for (const step of this.#steps.values()) this.#flush(step);
  }

  #vertex(vertex: WireVertex): void {
    const known = this.#steps.get(vertex.digest);
    if (vertex.startedAt === undefined && vertex.completedAt === undefined && !vertex.cached) return;
    const step = known ?? this.#begin(vertex);
    step.vertex = vertex;
    if (step.finished || (vertex.completedAt === undefined && !vertex.cached)) return;
    step.finished = true;
    this.#flush(step);
    this.#turnTo(step);
    if (vertex.error !== undefined) this.#line(step, `ERROR: ${vertex.error}`);
    else this.#line(step, vertex.cached ? "CACHED" : `DONE ${seconds(vertex, Date.now())}`);
  }

  #begin(vertex: WireVertex): Step {
    const step: Step = {
      number: ++this.#count,
      vertex,
      finished: false,
      streams: new Map(),
      transfers: new Map(),
    };
    this.#steps.set(vertex.digest, step);
    this.#turnTo(step);
    return step;
  }

  #log({ vertex, stream, data, time }: Extract<WireBuildEvent, { type: "log" }>): void {
    const step = this.#steps.get(vertex);
    if (step === undefined) return;
    const known = step.streams.get(stream);
    const { decoder, lines } = known ?? { decoder: new StringDecoder("utf8"), lines: new LineCutter() };
    if (known === undefined) step.streams.set(stream, { decoder, lines });
    const whole = lines.take(decoder.write(Buffer.from(data, "base64")));
    if (whole.length === 0) return;
    this.#turnTo(step);
    for (const line of whole) this.#output(step, line, time);
  }

  #flush(step: Step): void {
    const rest = [...step.streams.values()].flatMap(({ decoder, lines }) => [
      ...lines.take(decoder.end()),
      ...lines.end(),
    ]);
    if (rest.length === 0) return;
    this.#turnTo(step);
    for (const line of rest) this.#output(step, line, step.vertex.completedAt ?? Date.now());
  }

  #output(step: Step, line: string, time: number): void {
    const at = Math.max(0, time - (step.vertex.startedAt ?? time)) / 1000;
    this.#line(step, `${at.toFixed(3)} ${line}`);
  }

  #transfer({ vertex, id, current, total, completed }: Extract<WireBuildEvent, { type: "transfer" }>): void {
    const step = this.#steps.get(vertex);
    if (step === undefined) return;
    const now = Date.now();
    const told = step.transfers.get(id);
    if (!completed && told !== undefined && now - told < TRANSFER_PAUSE) return;
    step.transfers.set(id, now);
    this.#turnTo(step);
    const of = total === undefined || total === current ? "" : ` / ${humanSize(total)}`;
    this.#line(step, `${id} ${humanSize(current)}${of}${completed ? " done" : ""}`);
  }

  #warning({ file, warning }: Extract<WireBuildEvent, { type: "warning" }>): void {
    this.#out.write(`\nWARNING: ${warning.rule}: ${warning.message} (${file}:${warning.range.start.line})\n`);
    this.#last = undefined;
  }

  /** A title wherever another step has spoken before. */
  #turnTo(step: Step): void {
    if (this.#last === step) return;
    this.#out.write(`${this.#last === undefined ? "" : "\n"}#${step.number} ${step.vertex.name}\n`);
    this.#last = step;
  }

  #line({ number }: Step, text: string): void {
    this.#out.write(`#${number} ${text}\n`);
  }
}
