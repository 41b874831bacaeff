/** Datagrams to log services. */
import { createSocket } from "node:dgram";
import { isIPv6 } from "node:net";

export interface UdpSender {
  /** Resolves when the kernel has it. Rejects when the host is unknown or the datagram too long. */
  send(message: Buffer): Promise<void>;
  close(): void;
}

export function udpSender(host: string, port: number): UdpSender {
  const socket = createSocket(isIPv6(host) ? "udp6" : "udp4");
  socket.unref();
  socket.on("error", () => {});
  return {
    send: (message) =>
      new Promise((resolve, reject) =>
        socket.send(message, port, host, (error) => (error ? reject(error) : resolve())),
      ),
    close: () => socket.close(),
  };
}
