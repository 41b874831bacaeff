/** The entry of `gantry`. What it needs is loaded after the compile cache is on, and only for the command that runs. */
import { enableCompileCache } from "node:module";
import { join } from "node:path";

/** Only the user may write there: what is in it is run. */
function compileCache({ XDG_CACHE_HOME, HOME }: NodeJS.ProcessEnv): string | undefined {
  if (process.getuid?.() === 0) return "/var/cache/gantry/compile";
  if (XDG_CACHE_HOME) return join(XDG_CACHE_HOME, "gantry", "compile");
  return HOME ? join(HOME, ".cache", "gantry", "compile") : undefined;
}

const cache = compileCache(process.env);
if (cache !== undefined) enableCompileCache(cache);
const { main } = await import("./dispatch.ts");
process.exit(await main(process.argv.slice(2), process.env));
