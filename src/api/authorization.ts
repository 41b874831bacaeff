/**
 * Docker's authorization plug-ins: each is asked before a request is carried out and before its answer goes out. Who says no, cannot be
 * reached or answers nonsense has denied it.
 *
 * What is shown: the user (the name in the client's certificate), method, address, headers without credentials, and bodies that are JSON, whole.
 * Of streams, and of connections that are taken over, the beginning is judged; what is said to POST /auth is shown to nobody.
 */
import type { IncomingMessage, OutgoingHttpHeaders } from "node:http";
import { type PeerCertificate, TLSSocket } from "node:tls";
import { EngineError, errorMessage } from "../base/errors.ts";
import type { Plugins } from "../plugins/plugins.ts";

export interface Authorization {
  /** False: nobody is to be asked. */
  readonly active: boolean;
  /** Whether the plug-ins see this request's body, which must be read before they are asked. */
  seesBody(request: IncomingMessage): boolean;
  /** Throws "forbidden" when one says no, "internal" when one fails. */
  judgeRequest(request: IncomingMessage, body: Buffer | undefined): Promise<void>;
  /** The same for an answer, before its first byte goes out. */
  judgeAnswer(request: IncomingMessage, body: Buffer | undefined, answer: Answer): Promise<void>;
}

export interface Answer {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  /** As it will be sent; undefined: none, or no JSON, or a stream. */
  readonly body: string | undefined;
}

interface Verdict {
  readonly Allow?: unknown;
  readonly Msg?: unknown;
}

type Message = Readonly<Record<string, unknown>>;

/** `names`: whom to ask, in this order, as it is configured now. */
export function createAuthorization(plugins: Plugins, names: () => readonly string[]): Authorization {
  const ask = async (method: string, message: Message) => {
    for (const name of new Set(names())) await askOne(plugins, { name, method, message });
  };
  return {
    get active() {
      return names().length > 0;
    },
    seesBody: (request) => isJson(request.headers["content-type"]) && !isLogin(request),
    judgeRequest: (request, body) => ask("AuthZPlugin.AuthZReq", describe(request, body)),
    judgeAnswer: (request, body, answer) =>
      ask("AuthZPlugin.AuthZRes", {
        ...describe(request, body),
        ResponseStatusCode: answer.status,
        ResponseHeaders: plainHeaders(answer.headers),
        ...(answer.body === undefined || isLogin(request) ? {} : { ResponseBody: base64(Buffer.from(answer.body)) }),
      }),
  };
}

async function askOne(
  plugins: Plugins,
  { name, method, message }: { readonly name: string; readonly method: string; readonly message: Message },
): Promise<void> {
  let verdict: Verdict;
  try {
    const plugin = await plugins.get(name, "authz");
    verdict = await plugin.call<Verdict>(method, message);
  } catch (error) {
    throw new EngineError("internal", `plugin ${name} failed with error: ${errorMessage(error)}`, { cause: error });
  }
  if (verdict.Allow === true) return;
  const why = typeof verdict.Msg === "string" ? verdict.Msg : "";
  throw new EngineError("forbidden", `authorization denied by plugin ${name}: ${why}`);
}

function describe(request: IncomingMessage, body: Buffer | undefined): Message {
  const certificate = peerCertificate(request);
  return {
    ...(certificate === undefined
      ? {}
      : {
          User: commonName(certificate),
          UserAuthNMethod: "TLS",
          RequestPeerCertificates: [base64(Buffer.from(pem(certificate.raw)))],
        }),
    RequestMethod: request.method,
    // As dockerd spells it, and as its documentation does.
    RequestUri: request.url,
    RequestURI: request.url,
    ...(body === undefined || body.length === 0 ? {} : { RequestBody: base64(body) }),
    RequestHeaders: plainHeaders(request.headers),
  };
}

/** Only one that the authority has signed: others do not get this far, or were not asked for. */
function peerCertificate({ socket }: IncomingMessage): PeerCertificate | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  const certificate = socket.getPeerCertificate();
  return certificate?.raw === undefined ? undefined : certificate;
}

function commonName({ subject }: PeerCertificate): string {
  const name: string | string[] | undefined = subject?.CN;
  return (Array.isArray(name) ? name[0] : name) ?? "";
}

function pem(der: Buffer): string {
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

const SECRET = new Set(["authorization", "x-registry-auth", "x-registry-config"]);

/** Names as Go writes them ("Content-Type"); of several values the last. */
function plainHeaders(headers: OutgoingHttpHeaders): Record<string, string> {
  const shown = Object.entries(headers).filter(
    ([name, value]) => value !== undefined && !SECRET.has(name.toLowerCase()),
  );
  return Object.fromEntries(
    shown.map(([name, value]) => [
      name.toLowerCase().replace(/(^|-)[a-z]/g, (start) => start.toUpperCase()),
      String(Array.isArray(value) ? value.at(-1) : value),
    ]),
  );
}

const base64 = (bytes: Buffer) => bytes.toString("base64");

function isJson(type: string | undefined): boolean {
  return type?.split(";", 1)[0]?.trim().toLowerCase() === "application/json";
}

/** Its body is a password. */
function isLogin({ url = "" }: IncomingMessage): boolean {
  return /^(\/v\d+(\.\d+)?)?\/auth\/?(\?|$)/.test(url);
}
