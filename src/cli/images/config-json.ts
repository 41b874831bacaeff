/** The client's config.json: what is in it of registries; the rest is left as it is. */
import { mkdirSync, readFileSync, realpathSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EngineError, errnoOf, errorMessage } from "../../base/errors.ts";
import type { Context } from "../context.ts";

export interface AuthEntry {
  /** Base64 of "user:password". */
  readonly auth?: string | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly identitytoken?: string | undefined;
  readonly registrytoken?: string | undefined;
}

export interface ClientConfig {
  readonly auths?: Readonly<Record<string, AuthEntry>> | undefined;
  readonly credsStore?: string | undefined;
  readonly credHelpers?: Readonly<Record<string, string>> | undefined;
}

export const configPath = ({ configFolder }: Context): string => join(configFolder, "config.json");

/** Empty when there is no file. Throws "invalid" for one that cannot be read, since writing it would lose what it says. */
export function readConfig(context: Context): ClientConfig {
  const path = configPath(context);
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
    throw new Error("it is no JSON object");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return {};
    throw new EngineError("invalid", `error loading config file: ${path}: ${errorMessage(error)}`);
  }
}

/** Replaces the file whole, readable by its owner alone; a link keeps its target. */
export function writeConfig(context: Context, config: ClientConfig): void {
  mkdirSync(context.configFolder, { recursive: true, mode: 0o700 });
  const path = targetOf(configPath(context));
  const temporary = `${path}.${process.pid}.new`;
  writeFileSync(temporary, JSON.stringify(config, undefined, "\t"), { mode: 0o600 });
  renameSync(temporary, path);
}

function targetOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** "https://localhost:5000/v2/" → "localhost:5000". */
export function hostOf(name: string): string {
  return name.replace(/^https?:\/\//, "").split("/", 1)[0] ?? "";
}
