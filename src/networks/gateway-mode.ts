/** How a bridge network is reached and reaches out, by family; Docker's option and its values. */
import type { NetworkCreateRequest } from "../api/types/network.ts";
import { EngineError } from "../base/errors.ts";
import type { Family } from "./addresses.ts";
import type { NetworkRecord } from "./records.ts";

/**
 * nat              outwards with the host's address, inwards by published ports
 * nat-unprotected  the same, and every port is open to who knows a way to the container's address
 * routed           no translation; published ports are open at the container's own address
 * isolated         the host has no address on the bridge either; internal networks only
 */
export type GatewayMode = "nat" | "nat-unprotected" | "routed" | "isolated";

const OPTION = {
  4: "com.docker.network.bridge.gateway_mode_ipv4",
  6: "com.docker.network.bridge.gateway_mode_ipv6",
} as const;
const MODES: readonly string[] = ["nat", "nat-unprotected", "routed", "isolated"];

export function gatewayMode({ options }: Pick<NetworkRecord, "options">, family: Family): GatewayMode {
  const wished = options[OPTION[family]] || "nat";
  return MODES.includes(wished) ? (wished as GatewayMode) : "nat";
}

/** "invalid" for a mode that there is not, and for `isolated` where it would cut off what must go out. */
export function checkGatewayModes({ Options = {}, Internal = false }: NetworkCreateRequest): void {
  for (const option of Object.values(OPTION)) {
    const mode = Options[option];
    if (mode === undefined || mode === "") continue;
    if (!MODES.includes(mode))
      throw new EngineError("invalid", `unknown gateway mode ${JSON.stringify(mode)}`, {
        hint: `one of ${MODES.join(", ")}`,
      });
    if (mode === "isolated" && !Internal)
      throw new EngineError("invalid", "gateway mode 'isolated' can only be used for an internal network", {
        hint: "add --internal",
      });
  }
}
