/** Programs that keep secrets: `docker-credential-<name> get|store|erase`, JSON over standard input and output. */
import { spawnSync } from "node:child_process";
import { errnoOf } from "../../base/errors.ts";
import { type ClientConfig, hostOf } from "./config-json.ts";
import type { Credentials } from "./credentials.ts";

/** One that is named for the registry goes before the one for all. */
export function helperOf({ credHelpers = {}, credsStore }: ClientConfig, server: string): string | undefined {
  return credHelpers[server] ?? credHelpers[hostOf(server)] ?? (credsStore || undefined);
}

/** Undefined when it has none. Throws when it cannot be asked. */
export function askHelper(helper: string, server: string): Credentials | undefined {
  const { failed, text } = run(helper, "get", server);
  if (failed && /credentials not found/.test(text)) return undefined;
  if (failed) throw new Error(`error getting credentials - err: ${failed}, out: \`${text}\``);
  const { Username = "", Secret = "" } = JSON.parse(text) as { Username?: string; Secret?: string };
  if (Username === "<token>") return { identitytoken: Secret, serveraddress: server };
  return { username: Username, password: Secret, serveraddress: server };
}

/** Throws when it cannot. */
export function storeByHelper(helper: string, server: string, credentials: Credentials): void {
  const { username, password, identitytoken } = credentials;
  const entry = identitytoken
    ? { ServerURL: server, Username: "<token>", Secret: identitytoken }
    : { ServerURL: server, Username: username, Secret: password };
  const { failed, text } = run(helper, "store", JSON.stringify(entry));
  if (failed) throw new Error(`error saving credentials: error storing credentials - err: ${failed}, out: \`${text}\``);
}

export function eraseByHelper(helper: string, server: string): void {
  const { failed, text } = run(helper, "erase", server);
  if (failed && !/credentials not found/.test(text))
    throw new Error(`error erasing credentials - err: ${failed}, out: \`${text}\``);
}

function run(helper: string, verb: string, input: string): { failed: string | undefined; text: string } {
  const file = `docker-credential-${helper}`;
  const { status, stdout, error } = spawnSync(file, [verb], {
    input,
    encoding: "utf8",
    stdio: ["pipe", "pipe", "inherit"],
  });
  if (errnoOf(error) === "ENOENT") return { failed: `exec: "${file}": executable file not found in $PATH`, text: "" };
  return {
    failed: status === 0 ? undefined : (error?.message ?? `exit status ${status}`),
    text: (stdout ?? "").trim(),
  };
}
