/** Flows through published ports: forgotten when a port changes hands, so that the next packet goes where the port leads now. */
import { errorMessage } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { ConntrackSocket } from "../kernel/conntrack.ts";
import type { PortRecord } from "./records.ts";

const UDP = 17;

export class Flows {
  readonly #logger: Logger;
  #socket: ConntrackSocket | undefined;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Of udp alone: a flow of the others ends by itself, with the connection. Never rejects. */
  async forget(ports: readonly PortRecord[]): Promise<void> {
    const filters = ports
      .filter(({ protocol }) => protocol === "udp")
      .map(({ hostIp, hostPort }) => ({
        family: hostIp.includes(":") ? (6 as const) : (4 as const),
        protocol: UDP,
        port: hostPort,
      }));
    if (filters.length === 0) return;
    try {
      this.#socket ??= new ConntrackSocket();
      await this.#socket.forget(filters);
    } catch (error) {
      this.#logger.log("debug", "flows of published ports could not be forgotten", { error: errorMessage(error) });
    }
  }

  close(): void {
    this.#socket?.close();
    this.#socket = undefined;
  }
}
