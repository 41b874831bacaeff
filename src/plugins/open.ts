import { EngineError, errorKind, errorMessage } from "../base/errors.ts";
import { findPlugin, type PluginAddress, pluginNames } from "./discovery.ts";
import type { CallOptions, Plugin, PluginFolders, PluginKind, Plugins } from "./plugins.ts";
import { PLUGIN_FOLDERS } from "./plugins.ts";
import { post } from "./transport.ts";

const TIMEOUT_MS = 30_000;

/** Docker's, or ones that hold files of either sort. */
export function pluginFolders(folders: readonly string[] | undefined): PluginFolders {
  return folders === undefined ? PLUGIN_FOLDERS : { sockets: folders, specs: folders };
}

export function openPlugins(folders: PluginFolders = PLUGIN_FOLDERS): Plugins {
  const active = new Map<string, { readonly version: string; readonly plugin: Promise<Plugin> }>();
  const activated = (name: string, address: PluginAddress, options: CallOptions) => {
    const known = active.get(name);
    if (known?.version === address.version) return known.plugin;
    // Others wait for it too: only time ends it.
    const plugin = activate(name, address, { timeoutMs: options.timeoutMs });
    active.set(name, { version: address.version, plugin });
    plugin.catch(() => {
      if (active.get(name)?.plugin === plugin) active.delete(name);
    });
    return plugin;
  };
  return {
    names: () => pluginNames(folders),
    async all(kind, timeoutMs) {
      const found = await Promise.allSettled(
        pluginNames(folders).map(async (name) => {
          const address = findPlugin(name, folders);
          if (address === undefined) throw notFound(name);
          const known = active.get(name);
          if (known?.version === address.version) return within(known.plugin, timeoutMs);
          // Not for others to wait for: it gives up soon.
          const plugin = await activate(name, address, { timeoutMs, once: true });
          active.set(name, { version: address.version, plugin: Promise.resolve(plugin) });
          return plugin;
        }),
      );
      return found.flatMap((result) =>
        result.status === "fulfilled" && result.value.kinds.includes(kind) ? [result.value] : [],
      );
    },
    exists: (name) => findPlugin(name, folders) !== undefined,
    async get(name, kind, options = {}) {
      const address = findPlugin(name, folders);
      if (address === undefined) throw notFound(name);
      const plugin = await activated(name, address, options);
      if (!plugin.kinds.includes(kind)) throw notFound(name, `it does not implement ${kind}`);
      return plugin;
    },
  };
}

async function within<T>(promise: Promise<T>, timeoutMs: number): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error("late")), timeoutMs);
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function notFound(name: string, why = ""): EngineError {
  const hint = `a plug-in is a socket in ${PLUGIN_FOLDERS.sockets[0]} or a file in ${PLUGIN_FOLDERS.specs.join(" or ")}`;
  return new EngineError("not-found", `plugin ${JSON.stringify(name)} not found${why === "" ? "" : `: ${why}`}`, {
    hint,
  });
}

async function activate(name: string, address: PluginAddress, options: CallOptions): Promise<Plugin> {
  const call: Plugin["call"] = <Answer>(
    method: string,
    body?: Readonly<Record<string, unknown>>,
    how: CallOptions = {},
  ) => callPlugin(name, address, method, body, how) as Promise<Answer>;
  const { Implements } = await call<{ Implements?: unknown }>("Plugin.Activate", undefined, options);
  const kinds = Array.isArray(Implements)
    ? Implements.filter((kind): kind is PluginKind => typeof kind === "string")
    : [];
  return Object.freeze({ name, kinds: Object.freeze(kinds), call });
}

async function callPlugin(
  name: string,
  address: PluginAddress,
  method: string,
  body: Readonly<Record<string, unknown>> | undefined,
  { timeoutMs = TIMEOUT_MS, signal, whenUnknown, once }: CallOptions,
): Promise<unknown> {
  const { status, text } = await post(address, method, body === undefined ? "" : JSON.stringify(body), {
    timeoutMs,
    signal,
    once,
  }).catch((cause) => {
    if (signal?.aborted) throw cause;
    const kind = errorKind(cause) === "too-large" ? "too-large" : "unavailable";
    throw new EngineError(kind, `error while calling plugin ${name}: ${method}: ${errorMessage(cause)}`, { cause });
  });
  if (status === 404 && whenUnknown !== undefined) return whenUnknown;
  const answer = parse(text);
  const said = typeof answer?.Err === "string" && answer.Err !== "" ? answer.Err : undefined;
  if (said !== undefined || status >= 400)
    throw new EngineError("internal", `${method}: ${said ?? (text.trim().slice(0, 500) || `HTTP status ${status}`)}`);
  if (answer === undefined)
    throw new EngineError("unavailable", `plugin ${name} answered ${method} with something that is no JSON object`);
  return answer;
}

/** An empty answer says nothing and is none the worse for it. */
function parse(text: string): Readonly<Record<string, unknown>> | undefined {
  if (text.trim() === "") return {};
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : undefined;
  } catch {
    return undefined;
  }
}
