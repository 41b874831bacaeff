import { posix } from "node:path";
import { envMap } from "./environment.ts";
import { type StepBody, shellOf, type Task } from "./evaluate.ts";
import { contentOf, parseMark } from "./heredocs.ts";
import type { MountFlag, Run } from "./language.ts";
import { type MountOptions, readMountOptions } from "./mounts.ts";
import type { Mount, RunStep, Source, StageScope } from "./plan.ts";
import { PROXY_ARGS } from "./predefined.ts";
import { type Expander, readSource } from "./scope.ts";

/** Where a heredoc that is a script of its own is put. */
const SCRIPTS = "/dev/pipes";

export function evaluateRun(task: Task<Run>): StepBody<"RUN"> {
  const { scope, instruction } = task;
  const { config } = scope;
  return {
    ...commandOf(task),
    ...environmentOf(scope),
    workdir: posix.resolve("/", config.WorkingDir ?? ""),
    user: config.User ?? "",
    mounts: Object.freeze(mountsOf(task)),
    network: (instruction.network?.text ?? "default") as RunStep["network"],
    security: (instruction.security?.text ?? "sandbox") as RunStep["security"],
  };
}

function commandOf({ scope, instruction }: Task<Run>): Pick<RunStep, "args" | "text" | "shellForm" | "script"> {
  const { command, heredocs } = instruction;
  if (command.form === "exec") return { args: command.args, text: command.args.join(" "), shellForm: false };
  const [first] = heredocs;
  if (first !== undefined && parseMark(command.text) !== undefined) {
    const content = contentOf(first);
    if (!content.startsWith("#!")) return shellCommand(scope, content);
    const path = posix.join(SCRIPTS, first.name);
    return { ...shellCommand(scope, path), script: { path, content, mode: 0o755 } };
  }
  return shellCommand(scope, [command.text, ...heredocs.map(({ content, name }) => content + name)].join("\n"));
}

function shellCommand({ config }: StageScope, text: string): Pick<RunStep, "args" | "text" | "shellForm"> {
  return { args: Object.freeze([...shellOf(config), text]), text, shellForm: true };
}

function environmentOf({ plan, config, args }: StageScope): Pick<RunStep, "env" | "buildArgs" | "proxyEnv"> {
  const env = config.Env ?? [];
  const names = envMap(env);
  const buildArgs = [...args].filter(([name]) => !names.has(name)).map(([name, value]) => `${name}=${value}`);
  const proxies = [...plan.buildArgs].filter(([name]) => PROXY_ARGS.has(name) && !names.has(name) && !args.has(name));
  return {
    env: Object.freeze([...env, ...buildArgs]),
    buildArgs: Object.freeze(buildArgs.toSorted()),
    proxyEnv: Object.freeze(proxies.map(([name, value]) => `${name}=${value}`)),
  };
}

function mountsOf({ scope, instruction, expander }: Task<Run>): Mount[] {
  let agents = 0;
  return instruction.mounts.map((flag) => {
    const options = readOptions(flag, expander);
    const { at } = flag;
    const from = sourceOf(options.from, () => readSource(scope, instruction, { text: options.from ?? "", at }));
    const context = { from, workdir: scope.config.WorkingDir ?? "", number: agents };
    if (options.type === "ssh") agents++;
    const mount = Object.freeze(MOUNTS[options.type](options, context));
    if (mount.target === "/") throw expander.failure('invalid mount target "/"', at);
    return mount;
  });
}

function sourceOf(name: string | undefined, read: () => Source): Source | undefined {
  return name === undefined || name === "" ? undefined : read();
}

function readOptions({ options, at }: MountFlag, expander: Expander): MountOptions {
  try {
    return readMountOptions(
      options.map(({ name, value }) =>
        value === undefined ? { name } : { name, value: expander.text({ text: value, at }) },
      ),
    );
  } catch (error) {
    if (error instanceof SyntaxError) throw expander.failure(error.message, at);
    throw error;
  }
}

interface MountContext {
  readonly from: Source | undefined;
  readonly workdir: string;
  /** SSH mounts before this one. */
  readonly number: number;
}

/** Values when not said: Dockerfile reference, "RUN --mount". */
const MOUNTS: Readonly<Record<MountOptions["type"], (options: MountOptions, context: MountContext) => Mount>> = {
  bind: (options, { from, workdir }) => ({
    type: "bind",
    target: absolute(options.target, workdir),
    from,
    source: posix.resolve("/", options.source ?? ""),
    writable: options.readonly === false,
  }),
  cache: (options, { from, workdir }) => ({
    type: "cache",
    target: absolute(options.target, workdir),
    id: options.id ?? posix.normalize(options.target ?? ""),
    from,
    source: posix.resolve("/", options.source ?? ""),
    writable: options.readonly !== true,
    sharing: options.sharing ?? "shared",
    ...ownerOf(options, 0o755),
  }),
  tmpfs: (options, { workdir }) => ({
    type: "tmpfs",
    target: absolute(options.target, workdir),
    size: options.size ?? 0,
  }),
  secret: (options, { workdir }) => {
    const id = options.source ?? options.id ?? posix.basename(options.target ?? "");
    const inFile = options.target !== undefined || options.env === undefined;
    const target = inFile ? absolute(options.target ?? `/run/secrets/${posix.basename(id)}`, workdir) : undefined;
    return {
      type: "secret",
      id,
      target,
      env: options.env,
      required: options.required ?? false,
      ...ownerOf(options, 0o400),
    };
  },
  ssh: (options, { workdir, number }) => ({
    type: "ssh",
    id: options.id ?? "default",
    target: absolute(options.target ?? `/run/buildkit/ssh_agent.${number}`, workdir),
    required: options.required ?? false,
    ...ownerOf(options, 0o600),
  }),
};

function absolute(target: string | undefined, workdir: string): string {
  return posix.resolve("/", workdir, target ?? "");
}

function ownerOf(
  { mode, uid = 0, gid = 0 }: MountOptions,
  byDefault: number,
): { mode: number; uid: number; gid: number } {
  return { mode: mode ?? byDefault, uid, gid };
}
