/** An agent of the build's own, for `--ssh NAME=KEYFILE`: OpenSSH's, so that it reads every kind of key and asks for passphrases itself. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EngineError, errorMessage } from "../../base/errors.ts";
import type { Environment } from "../context.ts";

/** Post-condition: the socket of an agent that has these keys, and no others. It ends with this process, however that ends. */
export async function agentOf(id: string, keys: readonly string[], env: Environment): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "gantry-agent-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const socket = join(folder, "socket");
  try {
    await startAgent(socket, env);
  } catch (cause) {
    throw new EngineError("invalid", `ssh agent ${id}: ssh-agent does not start: ${errorMessage(cause)}`, {
      hint: "Install OpenSSH's client, or name the socket of an agent.",
      cause,
    });
  }
  const { status, stderr, error } = spawnSync("ssh-add", ["-q", ...keys], {
    env: { ...env, SSH_AUTH_SOCK: socket },
    stdio: ["inherit", "ignore", "pipe"],
    encoding: "utf8",
  });
  if (status !== 0) {
    const why = error === undefined ? stderr.trim() : error.message;
    throw new EngineError("invalid", `ssh agent ${id}: ${keys.join(", ")} cannot be used: ${why}`);
  }
  return socket;
}

/** The agent lives as long as what it started, and that as long as its standard input: until this process is gone. */
async function startAgent(socket: string, env: Environment): Promise<void> {
  const script = 'echo "$SSH_AGENT_PID"; exec cat >&2';
  const child = spawn("ssh-agent", ["-a", socket, "sh", "-c", script], { env, stdio: ["pipe", "pipe", "ignore"] });
  const ended = once(child, "exit").then(([code]) => {
    throw new Error(`it ended with ${code}`);
  });
  const [line] = (await Promise.race([once(child.stdout, "data"), ended])) as [Buffer];
  ended.catch(() => {});
  child.unref();
  const pid = Number(line.toString());
  process.once("exit", () => {
    try {
      process.kill(pid);
    } catch {
      // Gone already.
    }
  });
  for (const stream of [child.stdin, child.stdout]) (stream as unknown as { unref(): void }).unref();
}
