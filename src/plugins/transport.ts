/** One call of a plug-in over HTTP, and the wait for one that is starting. */
import { readFileSync } from "node:fs";
import { type IncomingMessage, type RequestOptions, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import { EngineError, errnoOf, errorMessage } from "../base/errors.ts";
import type { PluginAddress, TlsFiles } from "./discovery.ts";

export interface PostOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Only one attempt. */
  readonly once?: boolean | undefined;
}

export interface PostAnswer {
  readonly status: number;
  readonly text: string;
}

const MEDIA_TYPE = "application/vnd.docker.plugins.v1.2+json";
const MAX_ANSWER = 16 << 20;
/** Between attempts; doubles up to the last. */
const [FIRST_WAIT_MS, LAST_WAIT_MS] = [100, 4000];
/** Nobody listens yet: nothing was sent, so it can be tried again. */
const NOT_THERE = new Set(["ECONNREFUSED", "ENOENT", "EHOSTUNREACH", "ENETUNREACH", "EAI_AGAIN"]);

/** Connections that nobody accepts are tried again until the time is over; a call that was sent is not repeated. Rejects with what the last one said. */
export async function post(
  address: PluginAddress,
  method: string,
  body: string,
  options: PostOptions,
): Promise<PostAnswer> {
  const deadline = AbortSignal.timeout(options.timeoutMs);
  const signal = options.signal === undefined ? deadline : AbortSignal.any([deadline, options.signal]);
  for (let wait = FIRST_WAIT_MS; ; wait = Math.min(wait * 2, LAST_WAIT_MS)) {
    try {
      return await once(address, method, body, signal);
    } catch (error) {
      if (options.signal?.aborted) throw options.signal.reason;
      if (deadline.aborted) throw new EngineError("unavailable", `no answer within ${options.timeoutMs / 1000} s`);
      if (options.once === true || !NOT_THERE.has(errnoOf(error) ?? "")) throw error;
      await sleep(wait, undefined, { signal }).catch(() => {});
      if (signal.aborted) throw options.signal?.aborted ? options.signal.reason : error;
    }
  }
}

function once(address: PluginAddress, method: string, body: string, signal: AbortSignal): Promise<PostAnswer> {
  return new Promise((resolve, reject) => {
    const headers = { Accept: MEDIA_TYPE, "Content-Type": MEDIA_TYPE, "Content-Length": Buffer.byteLength(body) };
    const { secure, ...target } = targetOf(address, method);
    const options = { ...target, method: "POST", headers, signal, agent: false } as const;
    const sent = (secure ? requestHttps : requestHttp)(options, (response) => {
      readAll(response).then(
        (text) => resolve({ status: response.statusCode ?? 0, text }),
        (error) => {
          sent.destroy();
          reject(error);
        },
      );
    });
    sent.once("error", reject);
    sent.end(body);
  });
}

function targetOf({ url, tls }: PluginAddress, method: string): RequestOptions & { readonly secure: boolean } {
  const { protocol, hostname, port, pathname } = new URL(url);
  if (protocol === "unix:")
    return { secure: false, socketPath: url.slice("unix://".length), host: "localhost", path: `/${method}` };
  const secure = tls !== undefined || protocol === "https:";
  const path = `${pathname.replace(/\/$/, "")}/${method}`;
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  return { secure, host, port: port || (secure ? 443 : 80), path, ...(tls === undefined ? {} : certificates(tls)) };
}

function certificates({ insecureSkipVerify, caFile, certFile, keyFile }: TlsFiles) {
  return {
    rejectUnauthorized: !insecureSkipVerify,
    ...(caFile === undefined ? {} : { ca: load(caFile) }),
    ...(certFile === undefined ? {} : { cert: load(certFile) }),
    ...(keyFile === undefined ? {} : { key: load(keyFile) }),
  };
}

function load(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new EngineError("unavailable", `a certificate of a plug-in could not be read: ${errorMessage(cause)}`, {
      cause,
    });
  }
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_ANSWER) throw new EngineError("too-large", `its answer is longer than ${MAX_ANSWER >> 20} MiB`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
