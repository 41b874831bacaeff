/** Progress for programs: one JSON document per line, in the form that Buildx prints. */
import type { WireBuildEvent, WireVertex } from "../../api/types/build.ts";
import type { Output } from "../output.ts";
import type { Display } from "./progress-text.ts";

export class RawDisplay implements Display {
  readonly #out: Output;

  constructor(out: Output) {
    this.#out = out;
  }

  event(event: WireBuildEvent): void {
    this.#out.write(`${JSON.stringify(documentOf(event))}\n`);
  }

  finish(): void {}
}

const time = (milliseconds: number | undefined): string | undefined =>
  milliseconds === undefined ? undefined : new Date(milliseconds).toISOString();

function documentOf(event: WireBuildEvent): object {
  switch (event.type) {
    case "vertex":
      return { vertexes: [vertexOf(event.vertex)] };
    case "log": {
      const { vertex, stream, data } = event;
      return { logs: [{ vertex, stream, data, timestamp: time(event.time) }] };
    }
    case "transfer": {
      const { id, vertex, current, total, completed } = event;
      const now = new Date().toISOString();
      const ended = completed ? { completed: now } : {};
      return {
        statuses: [{ id, vertex, current, ...(total === undefined ? {} : { total }), timestamp: now, ...ended }],
      };
    }
    case "warning": {
      const { rule, message, url, range } = event.warning;
      const detail = Buffer.from(event.warning.description).toString("base64");
      const short = Buffer.from(`${rule}: ${message}`).toString("base64");
      const places = [{ start: range.start, end: range.end }];
      return {
        warnings: [{ level: 1, short, detail: [detail], url, sourceInfo: { filename: event.file }, range: places }],
      };
    }
  }
}

function vertexOf({ digest, inputs, name, startedAt, completedAt, cached, error }: WireVertex): object {
  return {
    digest,
    ...(inputs.length === 0 ? {} : { inputs }),
    name,
    ...(startedAt === undefined ? {} : { started: time(startedAt) }),
    ...(completedAt === undefined ? {} : { completed: time(completedAt) }),
    ...(cached ? { cached } : {}),
    ...(error === undefined ? {} : { error }),
  };
}
