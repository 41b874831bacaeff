/** The builder's events as BuildKit's status messages. */
import type { Digest } from "../../base/digest.ts";
import type { BuildEvent, Vertex as BuilderVertex } from "../../builder/builder.ts";
import type { PartOf } from "../protobuf/message.ts";
import { type StatusResponse, timestamp, type Vertex, type VertexStatus } from "../wire/control.ts";
import { inBuildkitWords } from "./failures.ts";
import { placeIn } from "./places.ts";

export interface EventOptions {
  /** Names of vertices that are shown otherwise. */
  readonly skip: ReadonlySet<string>;
  /** The vertex that findings about the Dockerfile hang on. */
  readonly definition: Digest;
  /** The Dockerfile. */
  readonly text: string;
}

/** Of one build. */
const MAX_WARNINGS = 100;

export class EventTranslator {
  readonly #options: EventOptions;
  /** Of these every line of the log is a piece of work: "naming to …". */
  readonly #exports = new Set<Digest>();
  #warned = 0;

  constructor(options: EventOptions) {
    this.#options = options;
  }

  /** Undefined for what BuildKit's displays have no place for. */
  translate(event: BuildEvent): StatusResponse | undefined {
    switch (event.type) {
      case "vertex":
        return this.#vertex(event.vertex);
      case "log":
        return this.#log(event);
      case "transfer": {
        const { vertex, id, current, total = 0, completed } = event;
        return { statuses: [shownTransfer({ vertex, id, current, total, completed })] };
      }
      case "warning":
        return this.#warnings(event);
    }
  }

  #vertex(vertex: BuilderVertex): StatusResponse | undefined {
    if (this.#options.skip.has(vertex.name) || isQuiet(vertex)) return undefined;
    if (vertex.step === undefined && /^exporting /.test(vertex.name)) this.#exports.add(vertex.digest);
    return { vertexes: [shownVertex(vertex)] };
  }

  #log({ vertex, stream, data, time }: Extract<BuildEvent, { type: "log" }>): StatusResponse {
    if (!this.#exports.has(vertex)) return { logs: [{ vertex, timestamp: timestamp(time), stream, msg: data }] };
    const lines = data.toString().split("\n").filter(Boolean);
    const done = { vertex, current: 0, total: 0, completed: true };
    return { statuses: lines.map((id) => shownTransfer({ ...done, id })) };
  }

  #warnings({ file, warning }: Extract<BuildEvent, { type: "warning" }>): StatusResponse | undefined {
    const { definition, text } = this.#options;
    const { rule, message, description, url, range } = warning;
    const common = { vertex: definition, level: 1 };
    if (++this.#warned > MAX_WARNINGS) {
      const short = Buffer.from(
        `further warnings than these ${MAX_WARNINGS} are left out (docker build --check has all)`,
      );
      return this.#warned === MAX_WARNINGS + 1 ? { warnings: [{ ...common, short }] } : undefined;
    }
    const short = Buffer.from(`${rule}: ${message} (line ${range.start.line})`);
    const place = placeIn({ name: file, text }, range);
    return { warnings: [{ ...common, short, detail: [Buffer.from(description)], url, ...place }] };
  }
}

/** Steps that change the configuration alone are no steps to BuildKit; one that failed is shown. */
const isQuiet = ({ step, error }: BuilderVertex): boolean => step?.metadata === true && error === undefined;

function shownVertex(vertex: BuilderVertex): PartOf<typeof Vertex> {
  const { digest, inputs, name, cached = false, startedAt, completedAt, error } = vertex;
  const started = startedAt ?? completedAt;
  return {
    digest,
    inputs,
    name,
    cached,
    error: error === undefined ? undefined : inBuildkitWords(error),
    ...(started !== undefined && { started: timestamp(started) }),
    ...(completedAt !== undefined && { completed: timestamp(Math.max(completedAt, started ?? 0)) }),
  };
}

export interface Transfer {
  readonly vertex: string;
  readonly id: string;
  readonly current: number;
  readonly total: number;
  readonly completed: boolean;
}

export function shownTransfer({ vertex, id, current, total, completed }: Transfer): PartOf<typeof VertexStatus> {
  const now = timestamp(Date.now());
  return { id, vertex, name: id, current, total, timestamp: now, started: now, ...(completed && { completed: now }) };
}
