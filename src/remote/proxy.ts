/** Which proxy, if any, a URL is asked through: HTTP_PROXY, HTTPS_PROXY, NO_PROXY as Go programs read them. Pure. */
import { inNetwork, isLoopback } from "./hosts.ts";

export interface ProxySettings {
  readonly httpProxy: string | undefined;
  readonly httpsProxy: string | undefined;
  readonly noProxy: string | undefined;
}

/** The proxy's URL; undefined: directly. Loopback is always reached directly. */
export function proxyFor(url: URL, { httpProxy, httpsProxy, noProxy = "" }: ProxySettings): string | undefined {
  const proxy = url.protocol === "https:" ? httpsProxy : httpProxy;
  if (proxy === undefined || proxy === "" || isLoopback(url.host) || isExcepted(url, noProxy)) return undefined;
  return proxy.includes("://") ? proxy : `http://${proxy}`;
}

function isExcepted(url: URL, noProxy: string): boolean {
  const name = url.hostname.replace(/^\[|\]$/g, "").toLowerCase();
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  return noProxy
    .split(",")
    .map((entry) => entry.trim().toLowerCase())
    .some((entry) => entry !== "" && matches(entry, name, port));
}

/** "*", "10.0.0.0/8", "example.com" (and below), ".example.com" (only below), each also with ":port". */
function matches(entry: string, name: string, port: string): boolean {
  if (entry === "*") return true;
  if (entry.includes("/")) return inNetwork(name, entry);
  const [, bare = "", wantedPort] = /^(\[[^\]]*\]|(?:[^:]*:){2,}[^:]*|[^:]*)(?::(\d+))?$/.exec(entry) ?? [];
  if (wantedPort !== undefined && wantedPort !== port) return false;
  const wanted = bare.replace(/^\[|\]$/g, "").replace(/^\*(?=\.)/, "");
  if (wanted === "") return false;
  return wanted.startsWith(".") ? name.endsWith(wanted) : name === wanted || name.endsWith(`.${wanted}`);
}
