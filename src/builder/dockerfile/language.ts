/**
 * What a parsed Dockerfile is: instructions with their places in the text. Nothing is expanded here; see plan.ts for what comes of them.
 *
 *   word         a piece of an instruction as written, quotes and variables still in it
 *   shell form   `CMD echo hi`: text for the shell
 *   exec form    `CMD ["echo", "hi"]`: arguments as they are
 *   heredoc      `<<EOF`: the lines below, up to the delimiter, belong to the instruction
 *   trigger      what follows ONBUILD; an instruction of whoever builds FROM this image
 */

/** Both count from 1; a column counts UTF-16 units. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** From the first character to just past the last. */
export interface Range {
  readonly start: Position;
  readonly end: Position;
}

export interface Word {
  readonly text: string;
  readonly at: Position;
}

export interface Pair {
  readonly name: Word;
  readonly value: Word;
}

export interface Heredoc {
  /** The delimiter without quotes. */
  readonly name: string;
  /** False when any part of the delimiter was quoted. */
  readonly expand: boolean;
  /** `<<-`: leading tabs go away. They are still in `content`. */
  readonly chomp: boolean;
  /** The lines between, each with its line feed; the delimiter's line is left out. */
  readonly content: string;
  /** 0, or the descriptor before `<<`. */
  readonly descriptor: number;
  readonly at: Position;
}

export type CommandLine =
  | { readonly form: "exec"; readonly args: readonly string[] }
  | { readonly form: "shell"; readonly text: string };

interface Common<Kind extends string> {
  readonly kind: Kind;
  /** As written: "RUN", "run", "Run". */
  readonly keyword: string;
  /** All of its physical lines, heredocs too. */
  readonly range: Range;
  /** Continuations joined, comments within left out; without heredocs' content. */
  readonly source: string;
  /** The comment lines directly above, without "#" and the spaces around. */
  readonly comments: readonly string[];
}

export interface From extends Common<"FROM"> {
  readonly image: Word;
  /** The name after AS in lower case, and as written. */
  readonly stageName?: string | undefined;
  readonly as?: { readonly keyword: string; readonly name: Word } | undefined;
  readonly platform?: Word | undefined;
}

export interface ArgDeclaration {
  readonly name: Word;
  /** Missing in `ARG NAME`; empty in `ARG NAME=`. */
  readonly value?: Word | undefined;
}

export interface Arg extends Common<"ARG"> {
  readonly args: readonly ArgDeclaration[];
}

export interface Env extends Common<"ENV"> {
  readonly pairs: readonly Pair[];
  /** `ENV name the rest`. */
  readonly legacy: boolean;
}

export interface Label extends Common<"LABEL"> {
  readonly pairs: readonly Pair[];
  readonly legacy: boolean;
}

export interface MountFlag {
  readonly at: Position;
  /** In their order; `readonly` alone has no value. Names in lower case. */
  readonly options: readonly { readonly name: string; readonly value?: string | undefined }[];
}

export interface Run extends Common<"RUN"> {
  readonly command: CommandLine;
  readonly heredocs: readonly Heredoc[];
  readonly mounts: readonly MountFlag[];
  readonly network?: Word | undefined;
  readonly security?: Word | undefined;
  /** The flags as written: "--mount=type=cache,target=/c". */
  readonly flags: readonly Word[];
}

export interface Cmd extends Common<"CMD"> {
  readonly command: CommandLine;
}

export interface Entrypoint extends Common<"ENTRYPOINT"> {
  readonly command: CommandLine;
}

/** What COPY and ADD have in common. */
interface Transfer<Kind extends string> extends Common<Kind> {
  /** Paths, patterns, URLs; not the heredocs. */
  readonly sources: readonly Word[];
  readonly heredocs: readonly Heredoc[];
  readonly destination: Word;
  readonly chown?: Word | undefined;
  readonly chmod?: Word | undefined;
  readonly link: boolean;
  readonly excludes: readonly Word[];
}

export interface Copy extends Transfer<"COPY"> {
  readonly from?: Word | undefined;
  readonly parents: boolean;
}

export interface Add extends Transfer<"ADD"> {
  readonly checksum?: Word | undefined;
  /** Undefined when not said. */
  readonly keepGitDir?: boolean | undefined;
  readonly unpack?: boolean | undefined;
}

export interface Workdir extends Common<"WORKDIR"> {
  readonly path: Word;
}

export interface User extends Common<"USER"> {
  readonly user: Word;
}

export interface Volume extends Common<"VOLUME"> {
  readonly paths: readonly Word[];
}

export interface Expose extends Common<"EXPOSE"> {
  readonly ports: readonly Word[];
}

export interface StopSignal extends Common<"STOPSIGNAL"> {
  readonly signal: Word;
}

/** Durations in nanoseconds, as in the image's configuration; 0 means the engine's default. */
export interface HealthConfig {
  /** ["NONE"], ["CMD", ...], ["CMD-SHELL", text]. */
  readonly Test: readonly string[];
  readonly Interval?: number | undefined;
  readonly Timeout?: number | undefined;
  readonly StartPeriod?: number | undefined;
  readonly StartInterval?: number | undefined;
  readonly Retries?: number | undefined;
}

export interface Healthcheck extends Common<"HEALTHCHECK"> {
  readonly health: HealthConfig;
}

export interface Shell extends Common<"SHELL"> {
  readonly shell: readonly string[];
}

export interface OnBuild extends Common<"ONBUILD"> {
  /** The trigger's text as an image keeps it, heredocs with it. */
  readonly trigger: string;
}

export interface Maintainer extends Common<"MAINTAINER"> {
  readonly name: Word;
}

/** What stands in a stage. */
export type StageInstruction =
  | Arg
  | Env
  | Label
  | Run
  | Cmd
  | Entrypoint
  | Copy
  | Add
  | Workdir
  | User
  | Volume
  | Expose
  | StopSignal
  | Healthcheck
  | Shell
  | OnBuild
  | Maintainer;

export type Instruction = From | StageInstruction;
export type InstructionName = Instruction["kind"];

/** One FROM and what follows it. */
export interface ParsedStage {
  /** From 0, in the file's order. */
  readonly index: number;
  readonly from: From;
  readonly instructions: readonly StageInstruction[];
}

export interface Directives {
  readonly syntax?: string | undefined;
  readonly escape: "\\" | "`";
  /** As written: "skip=JSONArgsRecommended;error=true". */
  readonly check?: string | undefined;
}

export interface Dockerfile {
  /** As errors name it: "Dockerfile", "docker/prod.Dockerfile". */
  readonly file: string;
  /** The whole text, line ends as they were. */
  readonly text: string;
  readonly directives: Directives;
  /** ARG before the first FROM. */
  readonly globalArgs: readonly Arg[];
  readonly stages: readonly ParsedStage[];
  /** What the reading itself found: empty continuation lines. Lint rules add to these. */
  readonly warnings: readonly Warning[];
}

/** A finding of a lint rule (lint.ts). */
export interface Warning {
  /** "JSONArgsRecommended". */
  readonly rule: string;
  readonly description: string;
  readonly url: string;
  /** What was found here: "Stage name 'Base' should be lowercase (line 1)" without the place. */
  readonly message: string;
  readonly range: Range;
}
