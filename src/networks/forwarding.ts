/** The host's forwarding between its interfaces, without which containers reach nothing but the host. */
import { ensureSysctl, readSysctl } from "../kernel/sysctl.ts";
import type { Parts } from "./parts.ts";

const SWITCH = { 4: "net/ipv4/ip_forward", 6: "net/ipv6/conf/all/forwarding" } as const;

/** Switches it on where the settings allow; warns where it stays off. */
export function ensureForwarding({ settings, logger }: Pick<Parts, "settings" | "logger">, ipv6: boolean): void {
  for (const family of ipv6 ? ([4, 6] as const) : ([4] as const)) {
    const on = settings.ipForward ? ensureSysctl(SWITCH[family], "1") : readSysctl(SWITCH[family]) === "1";
    if (!on)
      logger.log("warn", `IPv${family} forwarding is disabled: containers reach only this host`, {
        sysctl: SWITCH[family],
      });
  }
}
