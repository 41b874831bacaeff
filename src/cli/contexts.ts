/** Stored contexts, in the docker CLI's own place and form. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DEFAULT_HOST } from "../client/host.ts";
import type { Context } from "./context.ts";
import { contextFolder, type StoredContext } from "./endpoint.ts";

export interface KnownContext {
  readonly name: string;
  readonly description: string;
  readonly host: string;
}

/** "default" first; it is what the environment says. */
export function listContexts(context: Context): KnownContext[] {
  const host = context.env.GANTRY_HOST || context.env.DOCKER_HOST || DEFAULT_HOST;
  const standard = { name: "default", description: "Current DOCKER_HOST based configuration", host };
  const folder = join(context.configFolder, "contexts", "meta");
  const stored = existsSync(folder) ? readdirSync(folder).flatMap((name) => read(join(folder, name, "meta.json"))) : [];
  return [standard, ...stored.toSorted((a, b) => (a.name < b.name ? -1 : 1))];
}

/** Throws when there is none of this name. */
export function contextNamed(context: Context, name: string): KnownContext {
  const found = listContexts(context).find((one) => one.name === name);
  if (found === undefined) throw new Error(`context ${JSON.stringify(name)}: context not found`);
  return found;
}

export function metaFile(context: Context, name: string): string {
  return join(contextFolder(context.configFolder, "meta", name), "meta.json");
}

function read(file: string): KnownContext[] {
  try {
    const { Name, Metadata, Endpoints } = JSON.parse(readFileSync(file, "utf8")) as StoredContext;
    return [{ name: Name, description: Metadata?.Description ?? "", host: Endpoints.docker?.Host ?? "" }];
  } catch {
    return [];
  }
}
