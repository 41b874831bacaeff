/** What SIGHUP takes up of a changed file. */
import { isDeepStrictEqual } from "node:util";
import { Configuration } from "./configuration.ts";
import { OPTIONS } from "./options.ts";

/** The running configuration with the options that can change while running taken from the new one. */
export function reloadable(before: Configuration, read: Configuration): Configuration {
  const values = OPTIONS.map(({ key, reloads }) => [key, (reloads ? read : before).raw(key)] as const);
  return new Configuration(before.persona, read.configFile, new Map(values.filter(([, value]) => value !== undefined)));
}

export function changedKeys(before: Configuration, after: Configuration, read: Configuration) {
  const differ = (one: Configuration, other: Configuration) =>
    OPTIONS.map(({ key }) => key).filter((key) => !isDeepStrictEqual(one.raw(key), other.raw(key)));
  return { taken: differ(before, after), ignored: differ(after, read) };
}
