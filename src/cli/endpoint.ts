/** Which daemon to talk to: `-H`, then `--context`, then the environment, then the context in use, then the local one. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { EngineError, errnoOf } from "../base/errors.ts";
import { DEFAULT_HOST, type TlsOptions } from "../client/host.ts";
import type { Environment } from "./context.ts";
import type { ParsedFlags } from "./flags/spec.ts";

export interface ChosenEndpoint {
  /** The context's name; "default" when a host was named. */
  readonly context: string;
  readonly host: string;
  readonly tls: TlsOptions | undefined;
  /** Nobody named another: it is this machine's own, which may be started. */
  readonly local: boolean;
}

export interface StoredContext {
  readonly Name: string;
  readonly Metadata?: { readonly Description?: string | undefined } | undefined;
  readonly Endpoints: {
    readonly docker?: { readonly Host?: string | undefined; readonly SkipTLSVerify?: boolean | undefined } | undefined;
  };
}

export function chooseEndpoint(globals: ParsedFlags, env: Environment, folder: string): ChosenEndpoint {
  const [host, second] = globals.list("host");
  if (second !== undefined) throw new EngineError("invalid", "specify only one -H");
  const context = globals.text("context");
  if (host !== undefined && context !== "")
    throw new EngineError("invalid", "conflicting options: cannot specify both --host and --context");
  const named = host ?? (context === "" ? env.GANTRY_HOST || env.DOCKER_HOST || undefined : undefined);
  if (named !== undefined) return direct(named, globals, env, folder);
  const chosen = context || env.DOCKER_CONTEXT || currentContext(folder);
  return chosen === "default" ? direct(undefined, globals, env, folder) : fromContext(chosen, folder);
}

function direct(host: string | undefined, globals: ParsedFlags, env: Environment, folder: string): ChosenEndpoint {
  const verify = globals.bool("tlsverify") || (!globals.changed("tlsverify") && Boolean(env.DOCKER_TLS_VERIFY));
  const secured = verify || globals.bool("tls") || Boolean(env.DOCKER_TLS);
  const certificates = env.DOCKER_CERT_PATH || folder;
  const standard = (name: string) => join(certificates, name);
  // A certificate of one's own in the usual place is not a must; the authority is.
  const own = (flag: string, name: string) =>
    globals.text(flag) || (exists(standard(name)) ? standard(name) : undefined);
  const tls = secured
    ? {
        ca: globals.text("tlscacert") || standard("ca.pem"),
        cert: own("tlscert", "cert.pem"),
        key: own("tlskey", "key.pem"),
        verify,
      }
    : undefined;
  return { context: "default", host: host ?? DEFAULT_HOST, tls, local: host === undefined };
}

/** Kept apart from the docker CLI's own choice, which names another engine. */
export function currentContext(folder: string): string {
  try {
    const { currentContext: name } = JSON.parse(readFileSync(join(folder, "gantry.json"), "utf8")) as {
      currentContext?: string;
    };
    return name || "default";
  } catch {
    return "default";
  }
}

export function contextFolder(folder: string, kind: "meta" | "tls", name: string): string {
  // Loaded here, since few starts need it.
  const { createHash } = process.getBuiltinModule("node:crypto");
  return join(folder, "contexts", kind, createHash("sha256").update(name).digest("hex"));
}

function fromContext(name: string, folder: string): ChosenEndpoint {
  let stored: StoredContext;
  try {
    stored = JSON.parse(readFileSync(join(contextFolder(folder, "meta", name), "meta.json"), "utf8")) as StoredContext;
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
    throw new EngineError("not-found", `context ${JSON.stringify(name)}: context not found`, { cause: error });
  }
  const { Host = DEFAULT_HOST, SkipTLSVerify = false } = stored.Endpoints.docker ?? {};
  return {
    context: name,
    host: Host,
    tls: storedTls(join(contextFolder(folder, "tls", name), "docker"), SkipTLSVerify),
    local: false,
  };
}

/** TLS is spoken when the context has a file for it, or says not to check who answers. */
function storedTls(folder: string, skipVerify: boolean): TlsOptions | undefined {
  const [ca, cert, key] = ["ca.pem", "cert.pem", "key.pem"].map((name) => {
    const path = join(folder, name);
    return exists(path) ? path : undefined;
  });
  if (!skipVerify && ca === undefined && cert === undefined && key === undefined) return undefined;
  return { ca, cert, key, verify: !skipVerify };
}

function exists(path: string): boolean {
  try {
    readFileSync(path);
    return true;
  } catch {
    return false;
  }
}
