import { silentLogger } from "../base/log.ts";
import { dispatch } from "./http/dispatch.ts";
import type { Registry, RegistryOptions } from "./registry.ts";
import { openStorage } from "./storage/open.ts";

/** Opens a root, making it when it is missing. Throws "conflict" when another process writes it. */
export function openRegistry({ root, readOnly = false, logger = silentLogger }: RegistryOptions): Registry {
  const storage = openStorage(root, { readOnly });
  const services = Object.freeze({ storage, logger });
  return Object.freeze({
    handle: (request, response) => dispatch(services, request, response),
    [Symbol.asyncDispose]: () => storage.close(),
  } satisfies Registry);
}
