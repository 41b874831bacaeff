/** The sessions that clients have open. */
import type { IncomingHttpHeaders } from "node:http";
import type { Duplex } from "node:stream";
import { EngineError } from "../../base/errors.ts";
import { GrpcClient } from "../grpc/client.ts";
import { Arrivals } from "./arrivals.ts";
import { Session } from "./session.ts";

const PREFIX = "x-docker-expose-session-";

export class Sessions {
  readonly #open = new Arrivals<Session>();

  /** Serves the connection until it is over. Throws "invalid" without an id, "conflict" for one that is there. */
  begin(headers: IncomingHttpHeaders): (connection: Duplex) => Promise<void> {
    const id = text(headers[`${PREFIX}uuid`]);
    if (id === "")
      throw new EngineError("invalid", "the session has no id", { hint: "Send X-Docker-Expose-Session-Uuid." });
    if (this.#open.has(id))
      throw new EngineError("conflict", `the session ${id} is open already`, {
        hint: "Give each session a name of its own.",
      });
    const methods = new Set(text(headers[`${PREFIX}grpc-method`]).split(/,\s*/).filter(Boolean));
    const facts = { id, sharedKey: text(headers[`${PREFIX}sharedkey`]), methods };
    return async (connection) => {
      const client = new GrpcClient(connection);
      const session = new Session(client, facts);
      this.#open.add(id, session);
      await client.closed;
      this.#open.remove(id, session);
    };
  }

  /** Waits for a session that is about to come. Throws "not-found" when it does not. */
  async get(id: string, signal: AbortSignal): Promise<Session> {
    if (id === "")
      throw new EngineError("invalid", "the build names no session", {
        hint: "Open one with POST /session, and name it in Solve: the client's files come over it.",
      });
    return await this.#open.get(id, signal, () => noSession(id));
  }
}

const noSession = (id: string): EngineError =>
  new EngineError("not-found", `no active session for ${id}`, {
    hint: "The client's connection of POST /session is gone, or never came: build again.",
  });

const text = (value: string | string[] | undefined): string => (Array.isArray(value) ? value.join(",") : (value ?? ""));
