/** Platforms as people write them. */
import { EngineError } from "../../base/errors.ts";
import { parsePlatform } from "../../oci/platform.ts";

/** The same texts; throws docker's words for the first that is no platform. */
export function checkedPlatforms(texts: readonly string[], refusal = "invalid platform: "): readonly string[] {
  for (const text of texts.filter((one) => one !== ""))
    try {
      parsePlatform(text);
    } catch (error) {
      throw new EngineError("invalid", `${refusal}${(error as Error).message}`, { cause: error });
    }
  return texts;
}
