import type { StageInstruction } from "../dockerfile/language.ts";
import type { Step } from "./stage.ts";

/** The instruction that a step becomes. */
export const KEYWORDS = {
  run: "RUN",
  copy: "COPY",
  file: "COPY",
  add: "ADD",
  workdir: "WORKDIR",
  env: "ENV",
  label: "LABEL",
  user: "USER",
  cmd: "CMD",
  entrypoint: "ENTRYPOINT",
  shell: "SHELL",
  expose: "EXPOSE",
  volume: "VOLUME",
  stopSignal: "STOPSIGNAL",
  healthcheck: "HEALTHCHECK",
} as const satisfies Readonly<Record<Step["kind"], StageInstruction["kind"]>>;

/** As a line of a Dockerfile, near enough for people. */
export function describe(step: Step): string {
  const word = KEYWORDS[step.kind];
  switch (step.kind) {
    case "run":
      return `${word} ${typeof step.command === "string" ? step.command : JSON.stringify(step.command)}`;
    case "copy":
      return `${word} ${[...step.paths, step.to].join(" ")}`;
    case "add":
      return `${word} ${[...step.urls, step.to].join(" ")}`;
    case "file":
    case "workdir":
      return `${word} ${step.path}`;
    case "env":
    case "label":
      return `${word} ${step.pairs.map(([name, value]) => `${name}=${value}`).join(" ")}`;
    case "cmd":
    case "entrypoint":
      return `${word} ${JSON.stringify(step.args)}`;
    case "shell":
      return `${word} ${JSON.stringify(step.shell)}`;
    case "expose":
    case "volume":
      return `${word} ${step.values.join(" ")}`;
    case "user":
      return `${word} ${step.user}`;
    case "stopSignal":
      return `${word} ${step.signal}`;
    case "healthcheck":
      return `${word} ${step.health.Test.join(" ")}`;
  }
}
