/** "NAME=value" lists as image configurations have them. */

export const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The last of a name wins; an entry without "=" is empty. */
export function envMap(env: readonly string[]): Map<string, string> {
  return new Map(env.map(cutEntry));
}

/** New values at the place of the old ones, new names at the end. */
export function mergeEnv(env: readonly string[], pairs: readonly (readonly [string, string])[]): readonly string[] {
  const merged = envMap(env);
  for (const [name, value] of pairs) merged.set(name, value);
  return Object.freeze([...merged].map(([name, value]) => `${name}=${value}`));
}

/** With a PATH, which every image has. */
export function withPath(env: readonly string[]): readonly string[] {
  return envMap(env).has("PATH") ? env : Object.freeze([...env, `PATH=${DEFAULT_PATH}`]);
}

function cutEntry(entry: string): [string, string] {
  const equals = entry.indexOf("=");
  return equals < 0 ? [entry, ""] : [entry.slice(0, equals), entry.slice(equals + 1)];
}
