/** API versions are "1.<minor>"; the rest of the code compares the minor number alone. */
import { EngineError } from "../base/errors.ts";

export const MIN_VERSION = 24;
export const MAX_VERSION = 51;

export const apiVersion = (minor: number): string => `1.${minor}`;

/** The minor version that a request's path asks for. Throws "invalid" with Docker's texts outside of what we speak. */
export function negotiate(text: string | undefined): number {
  if (text === undefined) return MAX_VERSION;
  const [major = 0, minor = 0] = text.split(".", 2).map((part) => Number.parseInt(part, 10) || 0);
  if (major > 1 || (major === 1 && minor > MAX_VERSION))
    throw new EngineError(
      "invalid",
      `client version ${text} is too new. Maximum supported API version is ${apiVersion(MAX_VERSION)}`,
    );
  if (major < 1 || minor < MIN_VERSION)
    throw new EngineError(
      "invalid",
      `client version ${text} is too old. Minimum supported API version is ${apiVersion(MIN_VERSION)}, please upgrade your client to a newer version`,
    );
  return minor;
}
