import { capabilitySets } from "./capabilities.ts";
import type { Process } from "./spec-types.ts";
import type { ResolvedUser } from "./users.ts";

export const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface EnvironmentRequest {
  readonly hostname: string;
  readonly tty: boolean;
  /** "NAME=value"; a bare "NAME" takes the variable away. */
  readonly env: readonly string[];
  readonly user: Pick<ResolvedUser, "home">;
}

/** The process's environment. The runtime adds the HOME of a user who is in the container's passwd file. */
export function environment({ hostname, tty, env, user }: EnvironmentRequest): string[] {
  const base = [`PATH=${DEFAULT_PATH}`, `HOSTNAME=${hostname}`, ...(tty ? ["TERM=xterm"] : [])];
  return withHome(mergeEnvironment(base, env), user);
}

const NO_HOME = "HOME=/";

/** crun leaves HOME out for a user without an entry, where runc and Docker set "/". */
function withHome(env: readonly string[], { home }: Pick<ResolvedUser, "home">): string[] {
  return home !== "/" || env.some((entry) => entry.startsWith("HOME=")) ? [...env] : [...env, NO_HOME];
}

/** Replaces variables in place and appends new ones. A bare name removes. */
export function mergeEnvironment(base: readonly string[], changes: readonly string[]): string[] {
  const merged = new Map(base.map((entry) => [nameOf(entry), entry]));
  for (const entry of changes) {
    if (entry.includes("=")) merged.set(nameOf(entry), entry);
    else merged.delete(entry);
  }
  return [...merged.values()];
}

function nameOf(entry: string): string {
  return entry.slice(0, entry.indexOf("="));
}

export interface ExecProcessInput {
  /** The container's own process, from its Spec. */
  readonly container: Process;
  readonly args: readonly string[];
  /** Added to the container's. */
  readonly env?: readonly string[] | undefined;
  /** Default: the container's. */
  readonly cwd?: string | undefined;
  readonly tty: boolean;
  /** Default: the container's. */
  readonly user?: ResolvedUser | undefined;
  readonly privileged: boolean;
  /** What `privileged` gives: see `availableCapabilities`. */
  readonly availableCapabilities: readonly string[];
}

/** process.json of an exec: the container's process with another command line, its limits and profile kept. */
export function buildExecProcess(input: ExecProcessInput): Process {
  const { container, tty, privileged } = input;
  const { terminal, consoleSize: _, user, ...kept } = container;
  const dropped = [...(terminal && !tty ? ["TERM=xterm"] : []), ...(input.user === undefined ? [] : [NO_HOME])];
  const inherited = container.env.filter((entry) => !dropped.includes(entry));
  const env = mergeEnvironment(mergeEnvironment(tty ? ["TERM=xterm"] : [], inherited), input.env ?? []);
  return {
    ...kept,
    ...(tty ? { terminal: true } : {}),
    user: input.user === undefined ? user : specUser(input.user),
    args: [...input.args],
    env: input.user === undefined ? env : withHome(env, input.user),
    cwd: input.cwd || container.cwd,
    ...(privileged ? { capabilities: capabilitySets(input.availableCapabilities) } : {}),
  };
}

export function specUser({ uid, gid, additionalGids }: ResolvedUser): Process["user"] {
  return { uid, gid, ...(additionalGids.length > 0 ? { additionalGids: [...additionalGids] } : {}) };
}
