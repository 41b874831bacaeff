import { EngineError } from "../base/errors.ts";
import { IPC_SYSCTLS } from "../oci/ipc-sysctls.ts";
import type { NamespaceChoices } from "./namespaces.ts";

const UTS_NAMES = new Set(["kernel.domainname"]);

/**
 * Only what belongs to a namespace of the container's own may be set. Throws "invalid" with the runtimes' text. The defaults
 * (any user may use low ports and ping sockets) come where the network is the container's.
 */
export function specSysctls(
  asked: Readonly<Record<string, string>>,
  namespaces: NamespaceChoices,
  { ownNetwork }: { readonly ownNetwork: boolean },
): Record<string, string> {
  for (const name of Object.keys(asked)) check(name, namespaces);
  const defaults = ownNetwork
    ? { "net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647" }
    : {};
  return { ...defaults, ...asked };
}

function check(name: string, { ipc, network, uts }: NamespaceChoices): void {
  const dotted = name.replaceAll("/", ".");
  if (IPC_SYSCTLS.has(dotted) || dotted.startsWith("fs.mqueue.")) {
    if (ipc === "host") throw new EngineError("invalid", `sysctl "${name}" is not allowed in the hosts ipc namespace`);
    return;
  }
  if (dotted.startsWith("net.")) {
    if (network === "host") throw new EngineError("invalid", `sysctl "${name}" not allowed in host network namespace`);
    return;
  }
  if (UTS_NAMES.has(dotted)) {
    if (uts === "host") throw new EngineError("invalid", `sysctl "${name}" not allowed in host UTS namespace`);
    return;
  }
  throw new EngineError("invalid", `sysctl "${name}" is not in a separate kernel namespace`);
}
