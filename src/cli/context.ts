/** What a command works with: the daemon, the standard streams, the environment. */
import { join } from "node:path";
import { type Client, createClient } from "../client/client.ts";
import { type ChosenEndpoint, chooseEndpoint } from "./endpoint.ts";
import type { ParsedFlags } from "./flags/spec.ts";
import { fileOutput, type Output } from "./output.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Context {
  /** "gantry". */
  readonly program: string;
  /** The command as it was called: "gantry container ls". */
  readonly name: string;
  readonly env: Environment;
  readonly out: Output;
  readonly err: Output;
  /** The folder with the client's configuration, credentials and contexts. */
  readonly configFolder: string;
  /** Which daemon, and why that one. */
  readonly endpoint: ChosenEndpoint;
  /** Made at its first use; starts the local daemon when it does not answer. */
  readonly client: Client;
}

export function createContext(options: {
  readonly program: string;
  readonly name: string;
  readonly globals: ParsedFlags;
  readonly env: Environment;
}): Context {
  return new ProcessContext(options);
}

class ProcessContext implements Context {
  readonly program: string;
  readonly name: string;
  readonly env: Environment;
  readonly out = fileOutput(1);
  readonly err = fileOutput(2);
  readonly configFolder: string;
  readonly #globals: ParsedFlags;
  #endpoint: ChosenEndpoint | undefined;
  #client: Client | undefined;

  constructor({ program, name, globals, env }: Parameters<typeof createContext>[0]) {
    this.program = program;
    this.name = name;
    this.env = env;
    this.#globals = globals;
    this.configFolder = globals.text("config") || (env.DOCKER_CONFIG ?? join(env.HOME ?? "/", ".docker"));
  }

  get endpoint(): ChosenEndpoint {
    this.#endpoint ??= chooseEndpoint(this.#globals, this.env, this.configFolder);
    return this.#endpoint;
  }

  get client(): Client {
    this.#client ??= createClient({
      host: this.endpoint.host,
      tls: this.endpoint.tls,
      version: this.env.DOCKER_API_VERSION || undefined,
      onUnavailable: this.endpoint.local ? () => this.#startDaemon() : undefined,
    });
    return this.#client;
  }

  async #startDaemon(): Promise<boolean> {
    // Pressing TAB starts nothing.
    const completing = this.name.endsWith(" __complete");
    if (completing || this.env.GANTRY_NO_AUTOSTART === "1" || process.getuid?.() !== 0) return false;
    const { startDaemon } = await import("./autostart.ts");
    await startDaemon(this.env);
    return true;
  }
}
