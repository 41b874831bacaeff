/** Reads a request's JSON body within bounds. */
import type { IncomingMessage } from "node:http";
import { EngineError, errorMessage } from "../base/errors.ts";
import { parseJson } from "./json/parse.ts";
import { decode, type Schema } from "./json/schema.ts";

/** Bytes of a JSON body; archives are streamed and not bounded. */
export const MAX_JSON_BYTES = 8 * 1024 * 1024;

/** Milliseconds a client may pause within a JSON body. */
export const MAX_JSON_PAUSE = 30_000;

/**
 * Undefined when the request has no body. Throws "invalid" (not JSON, wrong type, cut off), "too-large". `read`: the bytes, where somebody
 * else had to see them first.
 */
export async function readJsonBody<T>(
  request: IncomingMessage,
  schema: Schema<T>,
  read?: Buffer,
): Promise<T | undefined> {
  checkContentType(request);
  if (!hasBody(request)) return undefined;
  const text = (read ?? (await readBody(request))).toString("utf8");
  if (text.trim() === "") throw new EngineError("invalid", "invalid JSON: got EOF while reading request body");
  try {
    return decode(schema, parseJson(text));
  } catch (error) {
    throw new EngineError("invalid", streamWords(errorMessage(error)), { cause: error });
  }
}

/** A decoder that reads from a stream words two of the errors differently. */
function streamWords(message: string): string {
  if (message.endsWith("after top-level value")) return "unexpected content after JSON";
  return `invalid JSON: ${message === "unexpected end of JSON input" ? "unexpected EOF" : message}`;
}

const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers["transfer-encoding"] !== undefined || (headers["content-length"] ?? "0") !== "0";

function checkContentType(request: IncomingMessage): void {
  const header = request.headers["content-type"] ?? "";
  if (header === "" && !hasBody(request)) return;
  const type = header.split(";", 1)[0]?.trim().toLowerCase();
  if (type === "") throw new EngineError("invalid", `malformed Content-Type header (${header}): mime: no media type`);
  if (type !== "application/json")
    throw new EngineError("invalid", `unsupported Content-Type header (${header}): must be 'application/json'`);
}

/** The body's bytes; none when it has no body. Throws "too-large" past what JSON may have, "cancelled" when it breaks off. */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  if (!hasBody(request)) return Buffer.alloc(0);
  if (Number(request.headers["content-length"] ?? 0) > MAX_JSON_BYTES) throw tooLarge();
  return collect(request);
}

/** Leaves the request open when it fails, so that the answer can say why. */
function collect(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const pause = setTimeout(
      () => fail(new EngineError("invalid", "timed out reading the request body")),
      MAX_JSON_PAUSE,
    );
    const fail = (error: Error) => {
      clearTimeout(pause);
      request.off("data", onData);
      reject(error);
    };
    const onData = (chunk: Buffer) => {
      pause.refresh();
      size += chunk.length;
      chunks.push(chunk);
      if (size > MAX_JSON_BYTES) fail(tooLarge());
    };
    request.on("data", onData);
    request.once("end", () => {
      clearTimeout(pause);
      resolve(Buffer.concat(chunks, size));
    });
    request.once("error", () => fail(new EngineError("cancelled", "invalid JSON: unexpected EOF")));
    request.once("close", () => fail(new EngineError("cancelled", "invalid JSON: unexpected EOF")));
  });
}

const tooLarge = (): EngineError =>
  new EngineError("too-large", `http: request body too large: at most ${MAX_JSON_BYTES} bytes of JSON are read`);
