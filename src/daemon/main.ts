/**
 * The daemon's entry: `gantryd`, `gantry daemon`, and, by that name, `dockerd`.
 *
 * Only what is needed to answer `--help` or a mistake is loaded at once; the engine's code comes when it is started.
 */
import { enableCompileCache } from "node:module";

type Environment = Readonly<Record<string, string | undefined>>;

/** Only root may write there: what is in it is run. */
const COMPILE_CACHE = "/var/cache/gantry/compile";

/** Resolves with the exit code when the daemon has ended. */
export async function main(argv: readonly string[], env: Environment, name = "gantryd"): Promise<number> {
  if (process.getuid?.() === 0) enableCompileCache(COMPILE_CACHE);
  const { start } = await import("./start.ts");
  return start(argv, env, name);
}

if (import.meta.main) {
  const { GANTRYD_NAME, ...env } = process.env;
  process.exit(await main(process.argv.slice(2), env, GANTRYD_NAME));
}
