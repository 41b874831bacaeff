/** git(1), told to believe nothing: no configuration but ours, no hooks, no prompts, no local or helper-made transports. */
import { existsSync, mkdirSync, realpathSync, rmSync } from "node:fs";
import { join } from "node:path";
import { EngineError, errnoOf, errorKind } from "../base/errors.ts";
import { withoutPassword } from "../base/urls.ts";
import { type RunResult, run } from "./spawn.ts";

export interface GitCheckout {
  /** An address as parseGitUrl (base/git-url.ts) gives it. */
  readonly remote: string;
  /** A branch, tag or commit; undefined: the remote's default branch. */
  readonly ref?: string | undefined;
  /** An empty folder, or one that does not exist yet. */
  readonly folder: string;
  /** Default false: `.git` is removed, of submodules too. */
  readonly keepGitDir?: boolean | undefined;
  /** The whole history, for who keeps `.git`; default false. */
  readonly unshallow?: boolean | undefined;
  /** A unix socket of an SSH agent. */
  readonly sshAgent?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

const TIMEOUT_MS = 30 * 60_000;

/**
 * Post-condition: the folder holds the tree at `ref`, with submodules; resolves with the commit's full hash. On failure the folder is
 * empty or gone. "invalid" with git's words for what cannot be fetched; "unavailable" without git; "cancelled" by the signal.
 */
export async function checkOut(checkout: GitCheckout): Promise<string> {
  const { remote, ref = "HEAD", folder } = checkout;
  if (remote.startsWith("-") || ref.startsWith("-"))
    throw new EngineError("invalid", `invalid Git reference: ${withoutPassword(remote)}#${ref}`);
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  try {
    await must(checkout, ["init", "--quiet", "--template=", "."]);
    await must(checkout, ["remote", "add", "origin", remote]);
    await must(checkout, ["checkout", "--quiet", "--detach", await fetchCommit(checkout, ref), "--"]);
    const commit = (await must(checkout, ["rev-parse", "HEAD"])).trim();
    const below = existsSync(join(folder, ".gitmodules")) ? await submodules(checkout) : [];
    if (!checkout.keepGitDir) removeGitFolders(folder, ["", ...below]);
    return commit;
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

/** A name of the commit that can be checked out. Shallow where the other side can; a bare commit hash may need everything. */
async function fetchCommit(checkout: GitCheckout, ref: string): Promise<string> {
  const shallow = ["fetch", "--quiet", "--no-tags", "--depth=1", "origin", ref];
  const direct = checkout.unshallow ? { code: 1, stderr: "" } : await git(checkout, shallow);
  if (direct.code === 0) return "FETCH_HEAD";
  const whole = await git(checkout, ["fetch", "--quiet", "--tags", "origin", "+refs/heads/*:refs/remotes/origin/*"]);
  if (whole.code !== 0) throw failure(checkout.remote, whole);
  if (ref === "HEAD") {
    await must(checkout, ["remote", "set-head", "origin", "--auto"]);
    return "refs/remotes/origin/HEAD";
  }
  for (const name of [`refs/remotes/origin/${ref}`, `refs/tags/${ref}`, ref]) {
    const { code, stdout } = await git(checkout, ["rev-parse", "--verify", "--quiet", `${name}^{commit}`]);
    if (code === 0) return stdout.toString().trim();
  }
  const named = await git(checkout, ["fetch", "--quiet", "origin", ref]);
  if (named.code !== 0) throw failure(checkout.remote, named);
  return "FETCH_HEAD";
}

async function must(checkout: GitCheckout, args: readonly string[]): Promise<string> {
  const result = await git(checkout, args);
  if (result.code !== 0) throw failure(checkout.remote, result);
  return result.stdout.toString();
}

const SAFE: readonly string[] = [
  "core.hooksPath=/dev/null",
  "core.attributesFile=/dev/null",
  "core.fsmonitor=false",
  "core.protectHFS=true",
  "core.protectNTFS=true",
  "credential.helper=",
  "http.followRedirects=true",
  "advice.detachedHead=false",
  "gc.auto=0",
  "maintenance.auto=false",
  "safe.directory=*",
];

async function git({ folder, sshAgent, signal }: GitCheckout, args: readonly string[]): Promise<RunResult> {
  try {
    return await run("git", [...SAFE.flatMap((setting) => ["-c", setting]), ...args], {
      cwd: folder,
      env: environment(sshAgent),
      timeoutMs: TIMEOUT_MS,
      signal,
    });
  } catch (cause) {
    if (errorKind(cause) !== "internal") throw cause;
    if (errnoOf(cause) !== "ENOENT" && errnoOf(cause) !== "EACCES") throw cause;
    throw new EngineError("unavailable", "git is needed for this build and could not be run", {
      hint: "Install it on the daemon's machine: apt-get install git",
      cause,
    });
  }
}

function environment(sshAgent: string | undefined): Record<string, string> {
  return {
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    HOME: "/nonexistent",
    LC_ALL: "C",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_TERMINAL_PROMPT: "0",
    GIT_ASKPASS: "/bin/false",
    GIT_ALLOW_PROTOCOL: "http:https:git:ssh",
    GIT_SSH_COMMAND: "ssh -oBatchMode=yes -oStrictHostKeyChecking=yes -oForwardAgent=no -oPermitLocalCommand=no",
    ...(sshAgent === undefined ? {} : { SSH_AUTH_SOCK: sshAgent }),
  };
}

/** Checks the submodules out; their paths. */
async function submodules(checkout: GitCheckout): Promise<string[]> {
  const update = ["submodule", "--quiet", "update", "--init", "--recursive"];
  const shallow = await git(checkout, [...update, "--depth=1"]);
  if (shallow.code !== 0) await must(checkout, update);
  const paths = await must(checkout, ["submodule", "--quiet", "foreach", "--recursive", 'echo "$displaypath"']);
  return paths.split("\n").filter(Boolean);
}

/** A submodule's path is the repository's word: what a link leads out of the folder is left alone. */
function removeGitFolders(folder: string, paths: readonly string[]): void {
  const root = realpathSync(folder);
  for (const path of paths) {
    const place = join(root, path);
    if (realpathSync(place) === place && `${place}/`.startsWith(`${root}/`))
      rmSync(join(place, ".git"), { recursive: true, force: true });
  }
}

function failure(remote: string, { stderr }: { readonly stderr: Buffer | string }): EngineError {
  const words = withoutPassword(stderr.toString())
    .replace(/^(?:fatal|error|warning): /gm, "")
    .trim();
  return new EngineError("invalid", `unable to prepare context: unable to fetch ${withoutPassword(remote)}: ${words}`, {
    hint: HINTS.find(([pattern]) => pattern.test(words))?.[1],
  });
}

const HINTS: readonly (readonly [words: RegExp, hint: string])[] = [
  [/Host key verification/, "Add the server's key to the daemon's /root/.ssh/known_hosts (ssh-keyscan HOST)."],
  [
    /Permission denied/,
    "Give the build a key that the server takes: --ssh default, with an agent that has it, or --ssh default=KEYFILE.",
  ],
];
