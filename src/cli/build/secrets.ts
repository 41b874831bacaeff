/** What `--secret` and `--ssh` name. Nothing of it is read before a step asks for it. */
import { readFileSync, statSync } from "node:fs";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { EngineError, errorMessage } from "../../base/errors.ts";
import type { Environment } from "../context.ts";
import { parseCsv } from "../flags/values.ts";

export type Secrets = ReadonlyMap<string, () => Buffer>;

/** "id=name,src=file", "id=name,env=NAME", "id=name" (a variable or a file of that name). Throws for what is not there. */
export function readSecrets(words: readonly string[], env: Environment): Secrets {
  return new Map(words.map((word) => readSecret(word, env)));
}

function readSecret(word: string, env: Environment): readonly [string, () => Buffer] {
  const fields = readFields(word, ["id", "type", "src", "source", "env"]);
  const { id, type, env: variable } = fields;
  const file = fields.src ?? fields.source;
  if (!id) throw new Error(`invalid secret ${JSON.stringify(word)}: it needs an id`);
  if (type !== undefined && type !== "file" && type !== "env") throw new Error(`unsupported secret type ${type}`);
  const named = variable ?? (type === "env" ? (file ?? id) : undefined);
  const fallback = file === undefined && type === undefined && env[id] !== undefined ? id : undefined;
  const chosen = named ?? fallback;
  if (chosen !== undefined) {
    const value = env[chosen];
    if (value === undefined) throw new Error(`secret ${id}: the environment has no variable ${chosen}`);
    return [id, () => Buffer.from(value)];
  }
  const path = file ?? id;
  try {
    statSync(path);
  } catch (cause) {
    throw new Error(`secret ${id}: ${errorMessage(cause)}`, { cause });
  }
  return [id, () => readFileSync(path)];
}

/** Name to socket. */
export type Agents = ReadonlyMap<string, string>;

/** "default", "name=socket", "name=keyfile[,keyfile…]": keys get an agent of their own. Throws for what is not there. */
export async function readAgents(words: readonly string[], env: Environment): Promise<Agents> {
  const agents = new Map<string, string>();
  for (const word of words) {
    const equals = word.indexOf("=");
    const [id, value] = equals < 0 ? [word, ""] : [word.slice(0, equals), word.slice(equals + 1)];
    const paths = parseCsv(value || (env.SSH_AUTH_SOCK ?? "")).filter((path) => path !== "");
    agents.set(id, await socketOf(id, paths, env));
  }
  return agents;
}

async function socketOf(id: string, paths: readonly string[], env: Environment): Promise<string> {
  const [first] = paths;
  if (first === undefined)
    throw new EngineError("invalid", `invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set`, {
      hint: "Start an agent: eval $(ssh-agent); ssh-add. Or name a key: --ssh default=$HOME/.ssh/id_ed25519.",
    });
  const stats = paths.map((path) => ({ path, stat: statSync(path, { throwIfNoEntry: false }) }));
  const absent = stats.find(({ stat }) => stat === undefined);
  if (absent !== undefined) throw new Error(`ssh agent ${id}: ${absent.path} does not exist`);
  if (stats.every(({ stat }) => stat?.isFile())) return await (await import("./key-agent.ts")).agentOf(id, paths, env);
  if (paths.length === 1 && stats[0]?.stat?.isSocket()) return first;
  throw new Error(`ssh agent ${id}: ${paths.join(", ")}: name one socket of an agent, or files of keys`);
}

/** Joins the daemon's channel to the agent until either ends. */
export async function joinAgent(socket: string, channel: Duplex): Promise<void> {
  const agent = connect(socket);
  await Promise.all([pipeline(channel, agent), pipeline(agent, channel)]);
}

/** The fields of a CSV flag; throws for names it has not. */
export function readFields(word: string, names: readonly string[]): Readonly<Record<string, string>> {
  const fields: Record<string, string> = {};
  for (const part of parseCsv(word)) {
    const equals = part.indexOf("=");
    const name = (equals < 0 ? part : part.slice(0, equals)).trim().toLowerCase();
    if (equals < 0) throw new Error(`invalid field '${part}' must be a key=value pair`);
    if (!names.includes(name)) throw new Error(`unexpected key '${name}' in '${part}'`);
    fields[name] = part.slice(equals + 1);
  }
  return fields;
}
