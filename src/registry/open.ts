import { silentLogger } from "../base/log.ts";
import { openAuth } from "./auth/open.ts";
import { openControl } from "./control.ts";
import type { Collected } from "./gc/collect.ts";
import { Collector } from "./gc/collector.ts";
import { dispatch } from "./http/dispatch.ts";
import { Metrics } from "./metrics.ts";
import { Quotas } from "./quotas.ts";
import type { Registry, RegistryOptions } from "./registry.ts";
import { openStorage } from "./storage/open.ts";
import { PullThrough } from "./upstream/pull-through.ts";
import { openUpstream } from "./upstream/remote-upstream.ts";
import { Webhooks } from "./webhooks/webhooks.ts";

/** Opens a root, making it when it is missing. Throws "conflict" when another process writes it, "invalid" for wrong settings. */
export async function openRegistry(options: RegistryOptions): Promise<Registry> {
  const { root, readOnly = false, logger = silentLogger } = options;
  await using closers = new AsyncDisposableStack();
  const storage = closers.adopt(await openStorage(root, { readOnly, logger }), (opened) => opened.close());
  const secretFile = storage.layout.tokenKey;
  const auth = openAuth({ config: options.auth, url: options.url, secretFile, logger });
  closers.defer(() => auth.options.passwords.close());
  const { collection: config, retention } = options;
  const metrics = new Metrics();
  const told = (collected: Collected) => {
    metrics.collected(collected);
    logger.log("info", "collected", { ...collected });
  };
  const collector = closers.adopt(new Collector({ storage, config, retention, logger, told }), (made) => made.close());
  const quotas = await Quotas.open(storage, options.quotas ?? []);
  const places = (options.upstreams ?? []).map((config) => ({
    config,
    upstream: openUpstream(config, options.remote ?? {}, logger),
  }));
  const cache = closers.adopt(await PullThrough.open({ storage, quotas, logger, places }), (opened) => opened.close());
  if (!readOnly) {
    const control = await openControl(storage.layout.control, (wish) => collector.collect(wish), logger);
    closers.defer(() => control.close());
  }
  const hooks = readOnly ? [] : (options.webhooks ?? []);
  const parts = { folder: storage.layout.webhooks, logger };
  const webhooks = closers.adopt(await Webhooks.open(hooks, parts), (opened) => opened.close());
  const { metricsFor = "users" } = options;
  const services = Object.freeze({
    storage,
    auth,
    quotas,
    cache,
    webhooks,
    metrics,
    metricsFor,
    lender: options.lender,
    logger,
  });
  const owned = closers.move();
  return Object.freeze({
    handle: (request, response) => dispatch(services, request, response),
    collect: (wish) => collector.collect(wish),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  } satisfies Registry);
}
