/** Long work of the daemon's, told line by line, and who asks for it at a registry. */
import type { Response } from "./http.ts";
import { jsonDocuments } from "./json-stream.ts";

/** One line of progress (jsonmessage). */
export interface ProgressMessage {
  readonly id?: string | undefined;
  readonly status?: string | undefined;
  readonly stream?: string | undefined;
  readonly progress?: string | undefined;
  readonly progressDetail?:
    | {
        readonly current?: number | undefined;
        readonly total?: number | undefined;
        readonly units?: string | undefined;
        readonly hidecounts?: boolean | undefined;
      }
    | undefined;
  readonly error?: string | undefined;
  readonly errorDetail?: { readonly code?: number | undefined; readonly message?: string | undefined } | undefined;
  readonly aux?: unknown;
  readonly time?: number | undefined;
  readonly timeNano?: number | undefined;
  readonly from?: string | undefined;
}

/** The lines of an answer as they come. */
export async function progress(answer: Promise<Response>): Promise<AsyncIterable<ProgressMessage>> {
  return jsonDocuments<ProgressMessage>((await answer).body);
}

/** `auth`: as Docker's clients encode it. */
export function authHeader(auth: string | undefined): Record<string, string> {
  return auth === undefined ? {} : { "X-Registry-Auth": auth };
}
