/** `gantry system dial-stdio`: the far end of ssh:// addresses. */
import { type Command, NO_ARGUMENTS } from "../command.ts";

export const command: Command = {
  usage: "",
  arguments: NO_ARGUMENTS,
  run: async (context) => {
    const socket = await context.client.transport.open();
    process.stdin.on("data", (bytes: Buffer) => {
      if (!socket.write(bytes)) {
        process.stdin.pause();
        socket.once("drain", () => process.stdin.resume());
      }
    });
    process.stdin.once("end", () => socket.end());
    for await (const bytes of socket as AsyncIterable<Buffer>) context.out.write(bytes);
    return 0;
  },
};
