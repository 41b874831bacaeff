/** Reads the configuration and either answers at once (`--help`, `--version`, `--validate`, a mistake) or runs the daemon. */
import { EngineError, errorMessage } from "../base/errors.ts";
import { type Configuration, combine, personaOf } from "./configuration.ts";
import { parseFlags, type Values } from "./flags.ts";
import { LineLogger } from "./logger.ts";

type Environment = Readonly<Record<string, string | undefined>>;

export async function start(argv: readonly string[], env: Environment, name: string): Promise<number> {
  const say = (text: string) => process.stderr.write(`${text}\n`);
  let flags: Values;
  try {
    flags = parseFlags(argv, name);
  } catch (error) {
    say(`${errorMessage(error)}\nSee '${name} --help'.`);
    return 1;
  }
  if (flags.get("help") === true) return print((await import("./help.ts")).helpText(name));
  if (flags.get("version") === true) return print(`Gantry version ${(await import("../engine/version.ts")).VERSION}\n`);
  try {
    const configuration = combine(flags, personaOf(name));
    if (flags.get("validate") === true) return await validate(configuration, say);
    return await runWith(configuration, flags, env, name);
  } catch (error) {
    say(withHint(error));
    return 1;
  }
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

async function validate(configuration: Configuration, say: (text: string) => void): Promise<number> {
  const { engineSettings } = await import("./settings.ts");
  (await import("./registry.ts")).registryConfig(configuration);
  engineSettings(configuration);
  say("configuration OK");
  return 0;
}

async function runWith(configuration: Configuration, flags: Values, env: Environment, name: string): Promise<number> {
  if (process.getuid?.() !== 0) throw new EngineError("forbidden", `${name} needs to be started with root privileges`);
  const logger = new LineLogger({
    level: configuration.logLevel,
    json: configuration.text("log-format") === "json",
    write: (line) => process.stderr.write(line),
  });
  const { runDaemon } = await import("./daemon.ts");
  return runDaemon({ configuration, reread: () => combine(flags, personaOf(name)), env, logger });
}

/** As dockerd prints what kept it from starting. */
function withHint(error: unknown): string {
  const hint = error instanceof EngineError && error.hint !== undefined ? `\n${error.hint}` : "";
  return `${errorMessage(error)}${hint}`;
}
