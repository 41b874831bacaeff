/** `gantry port`. */
import type { PortBinding } from "../../api/types/container.ts";
import type { Command } from "../command.ts";
import { naturalOrder } from "../format/natural-order.ts";

export const command: Command = {
  usage: "CONTAINER [PRIVATE_PORT[/PROTO]]",
  arguments: { min: 1, max: 2 },
  complete: "running",
  run: async (context, flags) => {
    const [name = "", wanted] = flags.positional;
    const { Ports = {} } = (await context.client.containers.inspect(name)).NetworkSettings;
    if (wanted === undefined) {
      const lines = Object.entries(Ports).flatMap(([port, bindings]) =>
        (bindings ?? []).map((one) => `${port} -> ${address(one)}`),
      );
      context.out.write(
        lines
          .toSorted(naturalOrder)
          .map((line) => `${line}\n`)
          .join(""),
      );
      return 0;
    }
    const bindings = Ports[wanted.includes("/") ? wanted : `${wanted}/tcp`] ?? [];
    if (bindings.length === 0) throw new Error(`Error: No public port '${wanted}' published for ${name}`);
    context.out.write(bindings.map((one) => `${address(one)}\n`).join(""));
    return 0;
  },
};

function address({ HostIp = "", HostPort = "" }: PortBinding): string {
  return `${HostIp.includes(":") ? `[${HostIp}]` : HostIp}:${HostPort}`;
}
