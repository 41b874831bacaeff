/** How the registry does: for monitors. */
import { constants } from "node:fs";
import { access } from "node:fs/promises";
import type { Exchange } from "./exchange.ts";
import { sendJson } from "./reply.ts";

/** 200 while the root can be used, 503 when not. Says nothing that is not for everyone. */
export async function health({ storage, response }: Exchange): Promise<void> {
  const mode = storage.writable ? constants.R_OK | constants.W_OK : constants.R_OK;
  const usable = await access(storage.layout.blobs, mode).then(
    () => true,
    () => false,
  );
  sendJson(response, usable ? 200 : 503, { status: usable ? "ok" : "the registry's folder cannot be used" });
}

export async function metrics({
  metrics,
  metricsFor,
  auth,
  actor,
  request,
  response,
  storage,
  webhooks,
  cache,
}: Exchange): Promise<void> {
  if (metricsFor === "users") auth.checkKnown(request, actor);
  const { waiting, deliveries } = webhooks;
  const gauges = { uploads: await storage.uploads.open(), webhooksWaiting: waiting, deliveries, cache: cache.counts };
  response.writeHead(200, { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" }).end(metrics.render(gauges));
}
