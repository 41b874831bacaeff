/** Instructions with their words expanded, and what they change. */
import { posix } from "node:path";
import { signalNumber } from "../../base/signals.ts";
import type { ImageRunConfig } from "../../oci/types.ts";
import { mergeEnv } from "./environment.ts";
import { evaluateRun } from "./evaluate-run.ts";
import { evaluateTransfer } from "./evaluate-transfer.ts";
import { parseExposedPort } from "./expose.ts";
import type { CommandLine, InstructionName, Pair, StageInstruction } from "./language.ts";
import type { ArgValue, Evaluation, StageScope, Step } from "./plan.ts";
import { Expander, withConfig } from "./scope.ts";

/** Throws DockerfileError for what only shows with the variables' values. */
export function evaluate(scope: StageScope, instruction: StageInstruction): Evaluation {
  const expander = new Expander(scope, instruction);
  const evaluator = EVALUATORS[instruction.kind] as Evaluator<InstructionName>;
  const { step, scope: next } = evaluator({ scope, instruction, expander });
  const common = { kind: instruction.kind, instruction, range: instruction.range };
  return Object.freeze({
    step: Object.freeze({ ...common, ...step }) as Step,
    scope: next,
    unset: expander.unset,
  });
}

type Of<Kind extends InstructionName> = Extract<StageInstruction, { kind: Kind }>;

export interface Task<Instruction> {
  readonly scope: StageScope;
  readonly instruction: Instruction;
  readonly expander: Expander;
}

/** The part of a step that is its own. */
export type StepBody<Kind extends Step["kind"]> = Omit<Extract<Step, { kind: Kind }>, "kind" | "instruction" | "range">;

type Evaluator<Kind extends InstructionName> = (task: Task<Of<Kind>>) => {
  readonly step: StepBody<Kind & Step["kind"]>;
  readonly scope: StageScope;
};

const EVALUATORS: { readonly [Kind in StageInstruction["kind"]]: Evaluator<Kind> } = {
  ADD: (task) => ({ step: evaluateTransfer(task), scope: task.scope }),
  ARG: evaluateArg,
  CMD: ({ scope, instruction }) => {
    const { args, shellForm } = commandOf(scope, instruction.command);
    const next = withConfig(scope, { Cmd: args, ArgsEscaped: undefined });
    return { step: { args, shellForm }, scope: Object.freeze({ ...next, commandSet: true }) };
  },
  COPY: (task) => ({ step: evaluateTransfer(task), scope: task.scope }),
  ENTRYPOINT: ({ scope, instruction }) => {
    const { args, shellForm } = commandOf(scope, instruction.command);
    const Entrypoint = args.length === 0 ? undefined : args;
    const change = { Entrypoint, ...(!scope.commandSet && { Cmd: undefined }), ArgsEscaped: undefined };
    return { step: { args, shellForm }, scope: withConfig(scope, change) };
  },
  ENV: ({ scope, instruction, expander }) => {
    const pairs = expandPairs(instruction.pairs, expander);
    const Env = bounded(mergeEnv(scope.config.Env ?? [], pairs), "environment variables", expander);
    return { step: { pairs }, scope: withConfig(scope, { Env }) };
  },
  EXPOSE: evaluateExpose,
  HEALTHCHECK: ({ scope, instruction: { health } }) => ({
    step: { health },
    scope: withConfig(scope, { Healthcheck: { ...health } }),
  }),
  LABEL: ({ scope, instruction, expander }) => {
    const pairs = expandPairs(instruction.pairs, expander);
    const labels = Object.entries({ ...scope.config.Labels, ...Object.fromEntries(pairs) });
    const Labels = Object.freeze(Object.fromEntries(bounded(labels, "labels", expander)));
    return { step: { pairs }, scope: withConfig(scope, { Labels }) };
  },
  MAINTAINER: ({ scope, instruction }) => ({
    step: { name: instruction.name.text },
    scope: Object.freeze({ ...scope, author: instruction.name.text }),
  }),
  ONBUILD: ({ scope, instruction: { trigger } }) => ({
    step: { trigger },
    scope: withConfig(scope, { OnBuild: Object.freeze([...(scope.config.OnBuild ?? []), trigger]) }),
  }),
  RUN: (task) => ({ step: evaluateRun(task), scope: task.scope }),
  SHELL: ({ scope, instruction: { shell } }) => ({ step: { shell }, scope: withConfig(scope, { Shell: shell }) }),
  STOPSIGNAL: ({ scope, instruction, expander }) => {
    const signal = expander.text(instruction.signal);
    if (signalNumber(signal) === undefined) throw expander.failure(`invalid signal: ${signal}`, instruction.signal.at);
    return { step: { signal }, scope: withConfig(scope, { StopSignal: signal }) };
  },
  USER: ({ scope, instruction, expander }) => {
    const user = expander.text(instruction.user);
    return { step: { user }, scope: withConfig(scope, { User: user }) };
  },
  VOLUME: ({ scope, instruction, expander }) => {
    const paths = Object.freeze(instruction.paths.map((path) => expander.text(path)));
    if (paths.includes("")) throw expander.failure("VOLUME specified can not be an empty string");
    return { step: { paths }, scope: withConfig(scope, { Volumes: withKeys(scope.config.Volumes, paths) }) };
  },
  WORKDIR: ({ scope, instruction, expander }) => {
    const text = expander.text(instruction.path);
    const path = posix.resolve("/", scope.config.WorkingDir ?? "", text);
    const next = withConfig(scope, { WorkingDir: path });
    return { step: { path, text }, scope: Object.freeze({ ...next, workdirSet: true }) };
  },
};

/** So that a step takes no more than some milliseconds whatever came before it. */
const MOST = 10_000;

function bounded<T>(list: readonly T[], what: string, expander: Expander): readonly T[] {
  if (list.length > MOST) throw expander.failure(`the image has more than ${MOST} ${what}`);
  return list;
}

const DEFAULT_SHELL: readonly string[] = ["/bin/sh", "-c"];

/** The shell of the shell form. */
export function shellOf({ Shell }: ImageRunConfig): readonly string[] {
  return Shell !== undefined && Shell.length > 0 ? Shell : DEFAULT_SHELL;
}

function commandOf({ config }: StageScope, command: CommandLine): { args: readonly string[]; shellForm: boolean } {
  if (command.form === "exec") return { args: command.args, shellForm: false };
  return { args: Object.freeze([...shellOf(config), command.text]), shellForm: true };
}

function expandPairs(pairs: readonly Pair[], expander: Expander): readonly (readonly [string, string])[] {
  return pairs.map(({ name, value }) => [expander.text(name), expander.text(value)] as const);
}

function withKeys(
  before: Readonly<Record<string, Readonly<Record<string, unknown>>>> | undefined,
  keys: readonly string[],
): Readonly<Record<string, Readonly<Record<string, unknown>>>> {
  if (before !== undefined && keys.every((key) => Object.hasOwn(before, key))) return before;
  return Object.freeze({ ...before, ...Object.fromEntries(keys.map((key) => [key, {}])) });
}

/** What is given with --build-arg, else the default, else the global value. */
function evaluateArg({ scope, instruction, expander }: Task<Of<"ARG">>): ReturnType<Evaluator<"ARG">> {
  const { buildArgs, globalArgs } = scope.plan;
  const args = new Map(scope.args);
  const declared = new Set(scope.declared);
  const values = instruction.args.map(({ name: { text: name }, value: word }): ArgValue => {
    const given = buildArgs.get(name);
    const byDefault = word === undefined || given !== undefined ? undefined : expander.text(word);
    const value = given ?? byDefault ?? globalArgs.get(name);
    declared.add(name);
    if (value !== undefined) args.set(name, value);
    return { name, value, byDefault: byDefault ?? word?.text };
  });
  return { step: { args: Object.freeze(values) }, scope: Object.freeze({ ...scope, args, declared }) };
}

function evaluateExpose({ scope, instruction, expander }: Task<Of<"EXPOSE">>): ReturnType<Evaluator<"EXPOSE">> {
  const texts = instruction.ports.flatMap((word) => expander.words(word).map((text) => ({ text, at: word.at })));
  const ports = texts.flatMap(({ text, at }) => {
    try {
      return parseExposedPort(text);
    } catch (error) {
      throw expander.failure((error as Error).message, at);
    }
  });
  const ExposedPorts = withKeys(scope.config.ExposedPorts, ports);
  const step = { ports: [...new Set(ports)], texts: texts.map(({ text }) => text).sort() };
  return { step, scope: withConfig(scope, { ExposedPorts }) };
}
