/** `gantry events`. */
import type { ExactEvent } from "../../client/system.ts";
import { type Command, NO_ARGUMENTS } from "../command.ts";
import type { Context } from "../context.ts";
import { FILTER_FLAG, filtersOf } from "../filters.ts";
import { localTime } from "../format/text.ts";
import { timestampText } from "../timestamps.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [
    FILTER_FLAG,
    { name: "format", type: "string", help: "How to print: 'json' or a Go template" },
    { name: "since", type: "string", help: "Everything since this time, or for so long" },
    { name: "until", type: "string", help: "Until this time" },
  ],
  arguments: NO_ARGUMENTS,
  run: async (context, flags) => {
    const now = Date.now();
    const time = (flag: string) => (flags.text(flag) === "" ? undefined : timestampText(flags.text(flag), now));
    const print = await printer(context, flags.text("format"));
    const events = await context.client.system.events({
      since: time("since"),
      until: time("until"),
      filters: filtersOf(flags.list("filter")),
    });
    for await (const event of events) print(event);
    return 0;
  },
};

async function printer(context: Context, format: string): Promise<(event: ExactEvent) => void> {
  if (format === "") return (event) => context.out.write(`${eventText(event)}\n`);
  const { goJson } = await import("../../base/template/json.ts");
  const { structure } = await import("../../base/template/print.ts");
  const marked = (event: ExactEvent) => {
    structure(event.Actor, [
      ["ID", ""],
      ["Attributes", {}],
    ]);
    return fielded(structure(event, []));
  };
  if (format === "json") return (event) => context.out.write(`${goJson(marked(event), { html: true })}\n`);
  const { compiled, guarded } = await import("../format/rows-template.ts");
  const template = compiled(format);
  return (event) => context.out.write(`${guarded(() => template.run(marked(event), { missingKey: "error" }))}\n`);
}

/** Go's fields have other names than their JSON. */
function fielded(event: ExactEvent): ExactEvent {
  const more = event as ExactEvent & { status?: string; id?: string; from?: string };
  const names = {
    Status: more.status,
    ID: more.id,
    From: more.from,
    Scope: event.scope,
    Time: event.time,
    TimeNano: event.timeNano,
  };
  for (const [name, value] of Object.entries(names))
    Object.defineProperty(event, name, { value: value ?? "", enumerable: false });
  return event;
}

function eventText({ Type, Action, Actor, timeNano }: ExactEvent): string {
  const attributes = Object.entries(Actor.Attributes ?? {})
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`);
  const details = attributes.length === 0 ? "" : ` (${attributes.join(", ")})`;
  return `${timeText(timeNano)} ${Type} ${Action} ${Actor.ID}${details}`;
}

/** With nine digits. */
function timeText(nanoseconds: bigint): string {
  const date = new Date(Number(nanoseconds / 1_000_000n));
  const fraction = String(nanoseconds % 1_000_000_000n).padStart(9, "0");
  const [day, clock, offset = ""] = localTime(date, `.${fraction}`).split(" ");
  return `${day}T${clock}${offset === "+0000" ? "Z" : offset.replace(/(..)$/, ":$1")}`;
}
