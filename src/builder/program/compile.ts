/** From stages as values to what a parsed Dockerfile is, and the contexts it names. */
import { posix } from "node:path";
import { digestOf } from "../../base/digest.ts";
import type { BuildRequest, NamedContext, SecretSource, SshSource } from "../builder.ts";
import type {
  CommandLine,
  Dockerfile,
  From,
  Heredoc,
  MountFlag,
  ParsedStage,
  Position,
  Range,
  StageInstruction,
  Word,
} from "../dockerfile/language.ts";
import { describe, KEYWORDS } from "./describe.ts";
import type { StepMount } from "./mounts.ts";
import type { Folder, ImageFiles } from "./sources.ts";
import { type CopyOptions, Stage, type Step } from "./stage.ts";

export interface CompiledProgram extends Required<Pick<BuildRequest, "contexts">> {
  readonly secrets: Readonly<Record<string, SecretSource>>;
  readonly ssh: Readonly<Record<string, SshSource>>;
  readonly program: Dockerfile;
}

/** All that the last stage needs, each stage once, what is needed before who needs it. */
export function compileProgram(last: Stage): CompiledProgram {
  return new Compiler().compile(last);
}

/** How errors name a program's lines. */
const FILE = "program";
const LINES = 20_000;

class Compiler {
  readonly #names = new Map<Stage, string>();
  readonly #stages: ParsedStage[] = [];
  readonly #lines: string[] = [];
  readonly #contexts: Record<string, NamedContext> = {};
  readonly #sources = new Map<Folder | ImageFiles, string>();
  readonly #secrets: Record<string, SecretSource> = {};
  readonly #ssh: Record<string, SshSource> = {};

  compile(last: Stage): CompiledProgram {
    this.#add(last);
    const text = `${this.#lines.join("\n")}\n`;
    const directives = { escape: "\\" } as const;
    const program = { file: FILE, text, directives, globalArgs: [], stages: this.#stages, warnings: [] };
    return { program, contexts: this.#contexts, secrets: this.#secrets, ssh: this.#ssh };
  }

  /** The stage's name, and those it needs, in the file. */
  #add(stage: Stage): string {
    const known = this.#names.get(stage);
    if (known !== undefined) return known;
    for (const needed of stagesOf(stage)) this.#add(needed);
    const name = `s${this.#stages.length}`;
    const base = stage.base instanceof Stage ? this.#add(stage.base) : (stage.base ?? "scratch");
    this.#names.set(stage, name);
    const from = this.#from(base, stage.title ?? name, name);
    const instructions = stage.steps.map((step) => this.#instruction(step));
    this.#stages.push({ index: this.#stages.length, from, instructions });
    return name;
  }

  #from(base: string, title: string, name: string): From {
    const common = this.#line("FROM", `FROM ${base}${title === name ? "" : ` # ${title}`}`);
    const word = { text: base, at: common.range.start };
    return { ...common, image: word, stageName: name, as: { keyword: "AS", name: { ...word, text: name } } };
  }

  #instruction(step: Step): StageInstruction {
    return (WRITERS[step.kind] as (line: Line, step: Step) => StageInstruction)(this.#lineOf(step), step);
  }

  #lineOf(step: Step): Line {
    const common = this.#line(KEYWORDS[step.kind], describe(step));
    return {
      common,
      word: (text) => ({ text: quoted(text), at: common.range.start }),
      source: (from) => this.#source(from),
      secret: (source) => this.#keep(this.#secrets, source),
      agent: (source) => this.#keep(this.#ssh, source),
    };
  }

  #line<Kind extends string>(kind: Kind, text: string): Common<Kind> {
    const shown = text.replace(/\s+/g, " ").slice(0, 500);
    this.#lines.push(shown);
    if (this.#lines.length > LINES) throw new RangeError(`a program has at most ${LINES} steps`);
    const start: Position = { line: this.#lines.length, column: 1 };
    const end: Position = { line: start.line, column: shown.length + 1 };
    return { kind, keyword: kind, range: { start, end }, source: shown, comments: [] };
  }

  /** What `--from` calls it. */
  #source(from: Stage | Folder | ImageFiles): string {
    if (from instanceof Stage) return this.#add(from);
    const known = this.#sources.get(from);
    if (known !== undefined) return known;
    const name = `c${this.#sources.size}`;
    this.#sources.set(from, name);
    this.#contexts[name] =
      from.kind === "image"
        ? { kind: "image", name: from.name }
        : { kind: "tree", tree: { root: from.path, ignore: from.ignore, cacheName: hashesName(from.path) } };
    return name;
  }

  #keep<T>(kept: Record<string, T>, source: T): string {
    const known = Object.entries(kept).find(([, value]) => value === source)?.[0];
    if (known !== undefined) return known;
    const id = `v${Object.keys(kept).length}`;
    kept[id] = source;
    return id;
  }
}

interface Common<Kind extends string> {
  readonly kind: Kind;
  readonly keyword: string;
  readonly range: Range;
  readonly source: string;
  readonly comments: readonly string[];
}

interface Line {
  readonly common: Common<string>;
  word(text: string): Word;
  source(from: Stage | Folder | ImageFiles): string;
  secret(source: SecretSource): string;
  agent(source: SshSource): string;
}

/** Stages that a stage reads, in the order of its steps. */
function stagesOf({ steps }: Stage): Stage[] {
  return steps.flatMap((step) => {
    if (step.kind === "copy") return step.from instanceof Stage ? [step.from] : [];
    if (step.kind !== "run") return [];
    return (step.options.mounts ?? []).flatMap((mount) =>
      mount.type === "bind" && mount.from instanceof Stage ? [mount.from] : [],
    );
  });
}

/** The step of a kind, also where one member of the union has several. */
type Of<Kind, Member = Step> = Member extends { readonly kind: infer Own }
  ? Kind extends Own
    ? Member
    : never
  : never;
type Writers = { readonly [Kind in Step["kind"]]: (line: Line, step: Of<Kind>) => unknown };

const exec = (args: readonly string[]): CommandLine => ({ form: "exec", args });
const pairs = ({ common, word }: Line, { pairs: list }: Of<"env">) => ({
  ...common,
  legacy: false,
  pairs: list.map(([name, value]) => ({ name: word(name), value: word(value) })),
});

const WRITERS: Writers = {
  run: (line, { command, options }) => ({
    ...line.common,
    command: typeof command === "string" ? { form: "shell", text: command } : exec(command),
    heredocs: [],
    mounts: (options.mounts ?? []).map((mount) => mountFlag(line, mount)),
    network: options.network === undefined ? undefined : { text: options.network, at: line.common.range.start },
    flags: [],
  }),
  copy: (line, { from, paths, to, options }) => ({
    ...line.common,
    ...transfer(line, to, options),
    from: { text: line.source(from), at: line.common.range.start },
    sources: paths.map(line.word),
    parents: options.parents === true,
  }),
  add: (line, { urls, to, options }) => ({
    ...line.common,
    ...transfer(line, to, options),
    sources: urls.map(line.word),
    checksum: options.checksum === undefined ? undefined : line.word(options.checksum),
    unpack: options.unpack,
  }),
  file: (line, { path, content, options }) => ({
    ...line.common,
    ...transfer(line, path, options),
    sources: [],
    parents: false,
    heredocs: [heredoc(path, content, line.common.range.start)],
  }),
  workdir: ({ common, word }, { path }) => ({ ...common, path: word(path) }),
  env: pairs,
  label: pairs,
  user: ({ common, word }, { user }) => ({ ...common, user: word(user) }),
  cmd: ({ common }, { args }) => ({ ...common, command: exec(args) }),
  entrypoint: ({ common }, { args }) => ({ ...common, command: exec(args) }),
  shell: ({ common }, { shell }) => ({ ...common, shell }),
  expose: ({ common, word }, { values }) => ({ ...common, ports: values.map(word) }),
  volume: ({ common, word }, { values }) => ({ ...common, paths: values.map(word) }),
  stopSignal: ({ common, word }, { signal }) => ({ ...common, signal: word(signal) }),
  healthcheck: ({ common }, { health }) => ({ ...common, health }),
};

function transfer({ word }: Line, to: string, { owner, mode, link = false, exclude = [] }: CopyOptions) {
  return {
    heredocs: [] as Heredoc[],
    destination: word(to),
    chown: owner === undefined ? undefined : word(owner),
    chmod: mode === undefined ? undefined : word(mode),
    link,
    excludes: exclude.map(word),
  };
}

function heredoc(path: string, content: string, at: Position): Heredoc {
  return { name: posix.basename(path), expand: false, chomp: false, content, descriptor: 0, at };
}

function mountFlag(line: Line, mount: StepMount): MountFlag {
  const option = (name: string, value: string | number | boolean | undefined) =>
    value === undefined ? [] : [{ name, value: quoted(String(value)) }];
  const own = () => {
    switch (mount.type) {
      case "cache":
        return [...option("target", mount.target), ...option("id", mount.id), ...option("sharing", mount.sharing)];
      case "bind": {
        const from = [{ name: "from", value: line.source(mount.from) }];
        return [
          ...option("target", mount.target),
          ...from,
          ...option("source", mount.source),
          ...option("rw", mount.writable),
        ];
      }
      case "tmpfs":
        return [...option("target", mount.target), ...option("size", mount.size)];
      case "secret": {
        const id = option("id", line.secret(mount.secret));
        return [...id, ...option("target", mount.target), ...option("env", mount.env), ...option("required", true)];
      }
      case "ssh":
        return [...option("id", line.agent(mount.agent)), ...option("required", true)];
    }
  };
  return { at: line.common.range.start, options: [{ name: "type", value: mount.type }, ...own()] };
}

/** Under which what is known of a folder's files is kept; see removeHashes in open.ts. */
function hashesName(path: string): string {
  return `folder-${digestOf(path).slice("sha256:".length, 40)}`;
}

/** So that nothing in it means anything to who expands it. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'"'"'`)}'`;
}
