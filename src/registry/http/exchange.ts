/** One request with what its handler needs. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Logger } from "../../base/log.ts";
import type { Actor, Auth } from "../auth/auth.ts";
import type { Lender, Loan } from "../lend.ts";
import type { Metrics } from "../metrics.ts";
import type { Quotas } from "../quotas.ts";
import type { Storage } from "../storage/open.ts";
import type { PullThrough } from "../upstream/pull-through.ts";
import type { Webhooks } from "../webhooks/webhooks.ts";

/** What the handlers share. */
export interface Services {
  readonly storage: Storage;
  readonly auth: Auth;
  readonly quotas: Quotas;
  /** Of upstreams; it answers for repositories that are no copies too. */
  readonly cache: PullThrough;
  readonly webhooks: Webhooks;
  readonly lender: Lender | undefined;
  readonly metrics: Metrics;
  readonly metricsFor: "anyone" | "users";
  readonly logger: Logger;
}

export interface Exchange extends Services {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: URLSearchParams;
  /** The route's named groups, decoded. */
  readonly params: Readonly<Record<string, string>>;
  /** Of the repository; "" where the route has none. Checked. */
  readonly name: string;
  /** Who asks. */
  readonly actor: Actor;
  /** What this client may take from a store beside the registry. */
  readonly loan: Loan | undefined;
}

export type Handler = (exchange: Exchange) => Promise<void>;
