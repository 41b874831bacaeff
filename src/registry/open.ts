import { silentLogger } from "../base/log.ts";
import { openAuth } from "./auth/open.ts";
import { dispatch } from "./http/dispatch.ts";
import type { Registry, RegistryOptions } from "./registry.ts";
import { openStorage } from "./storage/open.ts";

/** Opens a root, making it when it is missing. Throws "conflict" when another process writes it, "invalid" for wrong settings. */
export async function openRegistry(options: RegistryOptions): Promise<Registry> {
  const { root, readOnly = false, logger = silentLogger } = options;
  await using closers = new AsyncDisposableStack();
  const storage = closers.adopt(openStorage(root, { readOnly }), (opened) => opened.close());
  const secretFile = storage.layout.tokenKey;
  const auth = openAuth({ config: options.auth, url: options.url, secretFile, logger });
  closers.defer(() => auth.options.passwords.close());
  const services = Object.freeze({ storage, auth, logger });
  const owned = closers.move();
  return Object.freeze({
    handle: (request, response) => dispatch(services, request, response),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  } satisfies Registry);
}
