/**
 * The `created_by` of a step in an image's history, as Docker's classic builder writes it and as BuildKit does. Which of the two an image
 * has is for the builder to decide.
 *
 *   classic    /bin/sh -c #(nop)  CMD ["a" "b"]        |1 V=2 /bin/sh -c make
 *   buildkit   CMD ["a" "b"]                           RUN |1 V=2 /bin/sh -c make # buildkit
 */

import { quote, quoteList } from "../../base/go-strings.ts";
import { shellOf } from "./evaluate.ts";
import type { HealthConfig } from "./language.ts";
import type { RunStep, StageScope, Step, TransferStep } from "./plan.ts";

export interface HistoryStyle {
  /** "classic" needs the scope after the step: its shell is part of the line. */
  readonly style: "classic" | "buildkit";
  readonly scope: StageScope;
  /** What COPY and ADD copied, in the classic style: "file:…", "dir:…", "multi:…" and the hash of the content. */
  readonly content?: string | undefined;
}

export function historyLine(step: Step, { style, scope, content = "" }: HistoryStyle): string {
  if (style === "buildkit") return buildkitLine(step);
  if (step.kind === "RUN") return runCommand(step);
  const shell = shellOf(scope.config).join(" ");
  if (step.kind === "COPY" || step.kind === "ADD") {
    const chown = step.chown === undefined ? "" : `--chown=${step.chown} `;
    return `${shell} #(nop) ${step.kind} ${chown}${content} in ${step.destinationText} `;
  }
  if (step.kind === "WORKDIR") return `${shell} #(nop) WORKDIR ${step.path}`;
  return `${shell} #(nop)  ${CLASSIC[step.kind]?.(step as never) ?? metadataLine(step)}`;
}

function buildkitLine(step: Step): string {
  if (step.kind === "RUN") return `RUN ${runCommand(step)} # buildkit`;
  if (step.kind === "COPY" || step.kind === "ADD") return `${transferLine(step)} # buildkit`;
  return step.kind === "WORKDIR" ? `WORKDIR ${step.path}` : metadataLine(step);
}

/** "|2 A=1 B=2 /bin/sh -c make". */
function runCommand({ buildArgs, args }: RunStep): string {
  const given = buildArgs.length === 0 ? [] : [`|${buildArgs.length}`, ...buildArgs];
  return [...given, ...args].join(" ");
}

function transferLine({ kind, parents, chown, chmod, sources, destinationText }: TransferStep): string {
  const flags = [
    ...(parents ? ["--parents"] : []),
    ...(chown === undefined ? [] : [`--chown=${chown}`]),
    ...(chmod === undefined ? [] : [`--chmod=${chmod}`]),
  ];
  return [kind, ...flags, ...sources.map(({ text }) => text), destinationText].join(" ");
}

type Metadata = Exclude<Step["kind"], "RUN" | "COPY" | "ADD" | "WORKDIR">;
type Formatters = { readonly [Kind in Metadata]: (step: Extract<Step, { kind: Kind }>) => string };

function metadataLine(step: Extract<Step, { kind: Metadata }>): string {
  return (METADATA[step.kind] as (step: Step) => string)(step);
}

const pairs = (list: readonly (readonly [string, string])[]) =>
  list.map(([name, value]) => ` ${name}=${value}`).join("");

/** "name=value", or the name alone. */
const assign = (name: string, value: string | undefined) => (value === undefined ? name : `${name}=${value}`);

const METADATA: Formatters = {
  ARG: ({ args }) => `ARG ${args.map(({ name, value }) => assign(name, value)).join(" ")}`,
  CMD: ({ args }) => `CMD ${quoteList(args)}`,
  ENTRYPOINT: ({ args }) => `ENTRYPOINT ${quoteList(args)}`,
  ENV: (step) => `ENV${pairs(step.pairs)}`,
  EXPOSE: ({ ports }) =>
    `EXPOSE map[${ports
      .toSorted()
      .map((port) => `${port}:{}`)
      .join(" ")}]`,
  HEALTHCHECK: ({ health }) => `HEALTHCHECK ${formatHealth(health)}`,
  LABEL: (step) => `LABEL${pairs(step.pairs)}`,
  MAINTAINER: ({ name }) => `MAINTAINER ${name}`,
  ONBUILD: ({ trigger }) => `ONBUILD ${trigger}`,
  SHELL: ({ shell }) => `SHELL [${shell.join(" ")}]`,
  STOPSIGNAL: ({ signal }) => `STOPSIGNAL ${signal}`,
  USER: ({ user }) => `USER ${user}`,
  VOLUME: ({ paths }) => `VOLUME [${paths.join(" ")}]`,
};

/** Where the classic builder writes something else. */
const CLASSIC: { readonly [Kind in Metadata]?: (step: Extract<Step, { kind: Kind }>) => string } = {
  ARG: ({ args }) => `ARG ${args.map(({ name, byDefault }) => assign(name, byDefault)).join(" ")}`,
  EXPOSE: ({ texts }) => `EXPOSE ${texts.join(" ")}`,
};

/** As Go's %q writes the structure. */
function formatHealth({ Test, Interval, Timeout, StartPeriod, StartInterval, Retries = 0 }: HealthConfig): string {
  const times = [Interval, Timeout, StartPeriod, StartInterval].map((time = 0) => quote(goDuration(time)));
  return `&{${quoteList(Test)} ${times.join(" ")} ${goRune(Retries)}}`;
}

/** "5m0s", "1.5s", "300ms": nanoseconds as Go's Duration.String writes them. */
export function goDuration(nanoseconds: number): string {
  if (nanoseconds === 0) return "0s";
  const unit = UNITS.find(([size]) => nanoseconds < size * 1000);
  if (nanoseconds < 1e9 && unit !== undefined) return `${nanoseconds / unit[0]}${unit[1]}`;
  const seconds = (nanoseconds % 6e10) / 1e9;
  const minutes = Math.floor(nanoseconds / 6e10);
  if (minutes === 0) return `${seconds}s`;
  const hours = Math.floor(minutes / 60);
  return `${hours === 0 ? "" : `${hours}h`}${minutes % 60}m${seconds}s`;
}

const UNITS: readonly (readonly [number, string])[] = [
  [1, "ns"],
  [1e3, "µs"],
  [1e6, "ms"],
];

/** An integer that %q takes for a character: '\x03'. */
function goRune(code: number): string {
  if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return "'�'";
  const char = String.fromCodePoint(code);
  if (char === "'") return "'\\''";
  return char === '"' ? "'\"'" : `'${quote(char).slice(1, -1)}'`;
}
