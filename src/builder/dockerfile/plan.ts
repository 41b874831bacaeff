/**
 * What a Dockerfile and the options of a build come to: stages with their sources, and steps whose words are expanded.
 *
 *   plan      planBuild(dockerfile, options): which stages, from what, needed by whom. Knows no image's contents.
 *   scope     beginStage(plan, index, base): the state of a stage at one instruction; made when the base is known
 *   step      evaluate(scope, instruction): the instruction with everything expanded, and the scope for the next one
 *   trigger   what the base's ONBUILD asks for; beginStage gives them as instructions that come before the stage's own
 *
 * All values are frozen; everything here is a pure function of its arguments and throws DockerfileError (errors.ts) only.
 */
import type { Reference } from "../../oci/reference.ts";
import type { ImageRunConfig, Platform } from "../../oci/types.ts";
import type { Dockerfile, From, HealthConfig, Range, StageInstruction, Warning } from "./language.ts";
import type { StageNames } from "./stage-names.ts";

export interface BuildOptions {
  readonly buildArgs?: Readonly<Record<string, string>> | undefined;
  /** A stage's name or index; the last stage when missing. */
  readonly target?: string | undefined;
  /** What the image is for; the machine's own by default. */
  readonly targetPlatform?: Platform | undefined;
  /** What the steps of `--platform=$BUILDPLATFORM` run on; the machine's own by default. */
  readonly buildPlatform?: Platform | undefined;
  /** Names of `--build-context`; what they mean is for the builder. */
  readonly contexts?: readonly string[] | undefined;
}

/** Where files come from. */
export type Source =
  | { readonly kind: "scratch" }
  | { readonly kind: "stage"; readonly index: number }
  /** A named context; `name` is the key of `--build-context` that fits. */
  | { readonly kind: "context"; readonly name: string }
  /** `reference` has a tag or a digest; `name` is as written, after expansion. */
  | { readonly kind: "image"; readonly name: string; readonly reference: Reference; readonly platform: Platform };

export interface Stage {
  readonly index: number;
  readonly name?: string | undefined;
  /** The name, or "stage-2". */
  readonly label: string;
  readonly from: From;
  readonly base: Source;
  /** What RUN steps of this stage run as. */
  readonly platform: Platform;
  /** After FROM; none where a named context takes the stage's place. */
  readonly instructions: readonly StageInstruction[];
  /** Indexes of the stages that this one reads (base, COPY --from, mounts), ascending, each once. Triggers may add more. */
  readonly needs: readonly number[];
}

export interface Plan {
  readonly dockerfile: Dockerfile;
  /** All stages, also those not needed: triggers of base images may call for them. */
  readonly stages: readonly Stage[];
  readonly target: Stage;
  /** Indexes of the target and what it needs, directly or not; a stage comes after those it needs. */
  readonly order: readonly number[];
  readonly targetPlatform: Platform;
  readonly buildPlatform: Platform;
  readonly contexts: readonly string[];
  readonly stageNames: StageNames;
  readonly buildArgs: ReadonlyMap<string, string>;
  /** The global scope: ARGs before the first FROM and the platform arguments. */
  readonly globalArgs: ReadonlyMap<string, string>;
  /** Build arguments that no ARG of the file declares and that are not predefined. */
  readonly unusedArgs: readonly string[];
  readonly warnings: readonly Warning[];
}

/** What a stage starts from: a base image's configuration, or the last scope of the stage that it is based on. */
export interface BaseState {
  readonly config: ImageRunConfig;
  readonly author?: string | undefined;
  /** The rest is there in a stage's scope only: stages based on it inherit its ARGs. */
  readonly args?: ReadonlyMap<string, string> | undefined;
  readonly declared?: ReadonlySet<string> | undefined;
  readonly workdirSet?: boolean | undefined;
}

export interface StageScope {
  readonly plan: Plan;
  readonly stage: Stage;
  /** What the image would have if the stage ended here. */
  readonly config: ImageRunConfig;
  readonly author?: string | undefined;
  /** ARGs in effect that have a value, in the order of their declaration. */
  readonly args: ReadonlyMap<string, string>;
  /** ARGs in effect, also those without a value. */
  readonly declared: ReadonlySet<string>;
  /** Whether this stage has said CMD: an ENTRYPOINT before it drops the base's. */
  readonly commandSet: boolean;
  /** Whether the Dockerfile has said WORKDIR, here or in the stages that this one is based on. */
  readonly workdirSet: boolean;
}

export interface StageStart {
  readonly scope: StageScope;
  /** What the base's ONBUILD asks for; to be evaluated before the stage's own instructions. Their place is the FROM. */
  readonly triggers: readonly StageInstruction[];
  /** Indexes of the stages that the triggers read, ascending, each once. */
  readonly needs: readonly number[];
}

export interface Evaluation {
  readonly step: Step;
  /** For the next instruction. */
  readonly scope: StageScope;
  /** Variables that were asked for, have no value and no default in the expression. */
  readonly unset: readonly string[];
}

interface StepCommon<Kind extends string> {
  readonly kind: Kind;
  readonly instruction: StageInstruction;
  readonly range: Range;
}

interface MountCommon<Type extends string> {
  readonly type: Type;
}

export interface BindMount extends MountCommon<"bind"> {
  /** Absolute. */
  readonly target: string;
  /** Undefined: the build's main context. */
  readonly from?: Source | undefined;
  /** Absolute within `from`, "/" by default. */
  readonly source: string;
  /** What is written is thrown away after the step. */
  readonly writable: boolean;
}

export interface CacheMount extends MountCommon<"cache"> {
  readonly target: string;
  /** The target by default. */
  readonly id: string;
  readonly from?: Source | undefined;
  readonly source: string;
  readonly writable: boolean;
  readonly sharing: "shared" | "private" | "locked";
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export interface TmpfsMount extends MountCommon<"tmpfs"> {
  readonly target: string;
  /** Bytes; 0 means no bound. */
  readonly size: number;
}

export interface SecretMount extends MountCommon<"secret"> {
  readonly id: string;
  /** Undefined when only `env` is asked for. */
  readonly target?: string | undefined;
  readonly env?: string | undefined;
  readonly required: boolean;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export interface SshMount extends MountCommon<"ssh"> {
  readonly id: string;
  /** The socket's path. */
  readonly target: string;
  readonly required: boolean;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export type Mount = BindMount | CacheMount | TmpfsMount | SecretMount | SshMount;

export interface RunStep extends StepCommon<"RUN"> {
  /** What is executed, the shell before it in the shell form. */
  readonly args: readonly string[];
  /** What people read: the command without the shell, heredocs in it. */
  readonly text: string;
  readonly shellForm: boolean;
  /** A heredoc that starts with "#!" is a file that the shell is given the path of. */
  readonly script?: { readonly path: string; readonly content: string; readonly mode: number } | undefined;
  /** "NAME=value": the configuration's and the ARGs in effect; part of the step's identity. */
  readonly env: readonly string[];
  /** "NAME=value" of the ARGs that no ENV covers, sorted by name: history prints them after "|". */
  readonly buildArgs: readonly string[];
  /** Proxy settings from build arguments that no ARG declares: given to the process, no part of identity or history. */
  readonly proxyEnv: readonly string[];
  /** Absolute. */
  readonly workdir: string;
  /** Empty: root. */
  readonly user: string;
  readonly mounts: readonly Mount[];
  readonly network: "default" | "none" | "host";
  readonly security: "sandbox" | "insecure";
}

export type TransferSource =
  /**
   * A path or pattern (path-match.ts) below `from` or the context: no "/" around it, no ".."; "." for all of it. `text` is as written, expanded.
   * With --parents, the folders of `path` below `pivot` are kept; "." keeps all.
   */
  | { readonly kind: "path"; readonly path: string; readonly pivot: string; readonly text: string }
  /** The text of a heredoc, expanded unless its delimiter was quoted. */
  | { readonly kind: "inline"; readonly name: string; readonly content: string; readonly text: string }
  /** ADD only. */
  | { readonly kind: "url"; readonly url: string; readonly text: string }
  | { readonly kind: "git"; readonly git: GitSource; readonly text: string };

export interface GitSource {
  /** "https://host/repo.git", "git@host:repo.git", without the fragment. */
  readonly remote: string;
  /** A branch, a tag or a commit; empty for the default branch. */
  readonly ref: string;
  /** Empty for the whole. */
  readonly subdir: string;
}

/** What COPY and ADD say. */
export interface Transfer {
  /** Undefined: the build's main context. */
  readonly from?: Source | undefined;
  readonly sources: readonly TransferSource[];
  /** Absolute; ends in "/" when it must be a folder. */
  readonly destination: string;
  /** As written, expanded. */
  readonly destinationText: string;
  /** "user[:group]", names or numbers. */
  readonly chown?: string | undefined;
  /** "755" or "u=rwX,go=rX"; checked. See parseMode. */
  readonly chmod?: string | undefined;
  readonly link: boolean;
  readonly parents: boolean;
  readonly excludes: readonly string[];
  readonly checksum?: string | undefined;
  readonly keepGitDir?: boolean | undefined;
  /** Undefined: archives of the context are unpacked by ADD, what came from afar is not. */
  readonly unpack?: boolean | undefined;
}

export type TransferStep = (StepCommon<"COPY"> & Transfer) | (StepCommon<"ADD"> & Transfer);

/** The folder is made when it is missing: a layer in Docker's classic builder and in BuildKit. */
export interface WorkdirStep extends StepCommon<"WORKDIR"> {
  /** Absolute. */
  readonly path: string;
  /** As written, expanded. */
  readonly text: string;
}

export interface ArgValue {
  readonly name: string;
  /** In effect: the build argument, the default, the global one. */
  readonly value?: string | undefined;
  /** What the instruction says, expanded. */
  readonly byDefault?: string | undefined;
}

/** What changes the configuration alone. The values are in the scope's `config`; these are for history and progress. */
export type MetadataStep =
  | (StepCommon<"ARG"> & { readonly args: readonly ArgValue[] })
  | (StepCommon<"ENV"> & { readonly pairs: readonly (readonly [name: string, value: string])[] })
  | (StepCommon<"LABEL"> & { readonly pairs: readonly (readonly [name: string, value: string])[] })
  | (StepCommon<"CMD"> & { readonly args: readonly string[]; readonly shellForm: boolean })
  | (StepCommon<"ENTRYPOINT"> & { readonly args: readonly string[]; readonly shellForm: boolean })
  | (StepCommon<"USER"> & { readonly user: string })
  | (StepCommon<"VOLUME"> & { readonly paths: readonly string[] })
  /** `ports` as in the configuration ("80/tcp"), each once; `texts` as written, expanded, sorted. */
  | (StepCommon<"EXPOSE"> & { readonly ports: readonly string[]; readonly texts: readonly string[] })
  | (StepCommon<"STOPSIGNAL"> & { readonly signal: string })
  | (StepCommon<"HEALTHCHECK"> & { readonly health: HealthConfig })
  | (StepCommon<"SHELL"> & { readonly shell: readonly string[] })
  | (StepCommon<"ONBUILD"> & { readonly trigger: string })
  | (StepCommon<"MAINTAINER"> & { readonly name: string });

export type Step = RunStep | TransferStep | WorkdirStep | MetadataStep;
