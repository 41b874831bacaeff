/** Which hosts need no verified TLS: Docker's `insecure-registries`, and loopback always. */
import { BlockList, isIP } from "node:net";

/** "localhost:5000", "[::1]:5000" → "localhost", "::1". */
export function hostNameOf(host: string): string {
  const bracketed = /^\[([^\]]*)\]/.exec(host)?.[1];
  return (bracketed ?? host.replace(/:\d+$/, "")).toLowerCase();
}

export function isLoopback(host: string): boolean {
  const name = hostNameOf(host);
  return name === "localhost" || name.endsWith(".localhost") || LOOPBACK.check(name, familyOf(name));
}

/** Whether `host` ("name", "name:port") is in a list of hosts, hosts with ports, and networks. */
export function isListed(host: string, list: readonly string[]): boolean {
  const name = hostNameOf(host);
  const lower = host.toLowerCase();
  return list.some((entry) => {
    const wanted = entry.toLowerCase();
    return wanted === lower || wanted === name || inNetwork(name, wanted);
  });
}

/** Whether an address lies in "10.0.0.0/8" or "fd00::/8". A name never does: it is not looked up. */
export function inNetwork(address: string, cidr: string): boolean {
  const [network = "", bits = "", ...rest] = cidr.split("/");
  if (rest.length > 0 || !/^\d{1,3}$/.test(bits) || isIP(network) === 0 || isIP(address) === 0) return false;
  if (Number(bits) > (isIP(network) === 4 ? 32 : 128)) return false;
  const list = new BlockList();
  list.addSubnet(network, Number(bits), familyOf(network));
  return list.check(address, familyOf(address));
}

function familyOf(address: string): "ipv4" | "ipv6" {
  return isIP(address) === 6 ? "ipv6" : "ipv4";
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");
