/** A repository's tags, page by page. */
import { EngineError } from "../base/errors.ts";
import { parseJsonObject } from "../oci/validate.ts";
import { type HttpAnswer, readBody } from "./http.ts";
import { registryError } from "./registry-error.ts";
import type { Session } from "./session.ts";

const PAGE_BYTES = 8 << 20;
/** A registry that never ends its list. */
const PAGES = 10_000;
const TAG = /^\w[\w.-]{0,127}$/;

export async function* listTags(session: Session, signal: AbortSignal | undefined): AsyncGenerator<string> {
  const { path, host } = session.endpoint;
  const what = `tags of ${host}/${path}`;
  let next: string | URL | undefined = `${path}/tags/list?n=1000`;
  for (let page = 0; next !== undefined; page++) {
    if (page === PAGES) throw new EngineError("invalid", `the list of ${what} does not end`);
    const answer: HttpAnswer = await session.send({ method: "GET", path: next, signal });
    if (answer.status !== 200) throw await registryError(answer, `listing ${what}`);
    const { tags } = parseJsonObject(
      await readBody(answer, PAGE_BYTES, `the list of ${what}`),
      `list of ${what}`,
      PAGE_BYTES,
    );
    if (tags != null && !Array.isArray(tags)) throw new EngineError("invalid", `the list of ${what} is no list`);
    for (const tag of tags ?? []) if (typeof tag === "string" && TAG.test(tag)) yield tag;
    next = nextPage(answer);
  }
}

/** RFC 8288; only on the same host, which alone may see the token. */
export function nextPage({ headers, url }: HttpAnswer): URL | undefined {
  const link = /<([^>]*)>\s*;[^,]*\brel="?next"?/i.exec(headers.link ?? "")?.[1];
  const next = link === undefined ? null : URL.parse(link, url);
  return next !== null && next.origin === url.origin && next.href !== url.href ? next : undefined;
}
