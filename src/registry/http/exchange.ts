/** One request with what its handler needs. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Logger } from "../../base/log.ts";
import type { Storage } from "../storage/open.ts";

/** What the handlers share. */
export interface Services {
  readonly storage: Storage;
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
}

export type Handler = (exchange: Exchange) => Promise<void>;
