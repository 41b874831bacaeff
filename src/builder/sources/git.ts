/** ADD from a Git repository. */
import { join } from "node:path";
import { EngineError } from "../../base/errors.ts";
import { newId } from "../../base/ids.ts";
import { checkOut } from "../../kernel/git.ts";
import type { SshSource } from "../builder.ts";
import { serveAgent } from "../context/agent-socket.ts";
import type { GitSource } from "../dockerfile/plan.ts";
import type { OpContext } from "../graph/graph.ts";

export interface Checkout {
  readonly git: GitSource;
  /** Does not exist yet. */
  readonly folder: string;
  readonly keepGitDir: boolean;
  /** A commit, or the beginning of one; compared when given. */
  readonly checksum: string | undefined;
  readonly agent: SshSource | undefined;
  /** A folder for the agent's socket. */
  readonly socketFolder: string;
}

/** Post-condition: the folder holds the repository at that point. */
export async function checkOutGit(checkout: Checkout, context: OpContext): Promise<void> {
  const { git, folder, keepGitDir, checksum, agent, socketFolder } = checkout;
  await using stack = new AsyncDisposableStack();
  const served =
    agent === undefined
      ? undefined
      : stack.use(await serveAgent(join(socketFolder, `${newId().slice(0, 16)}.sock`), agent));
  const commit = await checkOut({
    remote: git.remote,
    ref: git.ref === "" ? undefined : git.ref,
    folder,
    keepGitDir,
    sshAgent: served?.socket,
    signal: context.signal,
  });
  context.log(2, Buffer.from(`${commit}\n`));
  if (checksum !== undefined && !commit.startsWith(checksum.replace(/^sha1:/, "")))
    throw new EngineError("invalid", `expected checksum to match ${checksum}, got ${commit}`);
}
