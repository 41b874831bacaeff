import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Of the package.json above this file, wherever the program was bundled to. */
export function packageVersion(): string {
  for (let folder = import.meta.dirname; folder !== dirname(folder); folder = dirname(folder)) {
    try {
      const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { version?: string };
      if (version !== undefined) return version;
    } catch {
      // The next folder up.
    }
  }
  return "unknown";
}
