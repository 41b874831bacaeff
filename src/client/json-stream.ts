/** As JSON.parse's; the source is the value's text. */
export type Reviver = (this: unknown, key: string, value: unknown, context: { readonly source?: string }) => unknown;

/** JSON documents one after another in a stream: by line, as the API sends progress, events and stats. */
export async function* jsonDocuments<T>(body: AsyncIterable<Uint8Array>, reviver?: Reviver): AsyncGenerator<T> {
  const decoder = new TextDecoder();
  let held = "";
  for await (const chunk of body) {
    held += decoder.decode(chunk, { stream: true });
    for (let end = held.indexOf("\n"); end >= 0; end = held.indexOf("\n")) {
      const line = held.slice(0, end);
      held = held.slice(end + 1);
      if (line.trim() !== "") yield* documentsOf<T>(line, reviver);
    }
  }
  if (held.trim() !== "") yield* documentsOf<T>(held, reviver);
}

/** A line mostly is one document; some servers send several without a line break between. */
function documentsOf<T>(line: string, reviver: Reviver | undefined): T[] {
  try {
    return [parse(line, reviver) as T];
  } catch {
    return splitDocuments(line).map((text) => parse(text, reviver) as T);
  }
}

function splitDocuments(text: string): string[] {
  const documents: string[] = [];
  let depth = 0;
  let quoted = false;
  let start = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (quoted) {
      if (char === "\\") at++;
      else if (char === '"') quoted = false;
    } else if (char === '"') quoted = true;
    else if (char === "{" || char === "[") depth++;
    else if ((char === "}" || char === "]") && --depth === 0) {
      documents.push(text.slice(start, at + 1));
      start = at + 1;
    }
  }
  if (text.slice(start).trim() !== "") documents.push(text.slice(start));
  return documents;
}

/** TypeScript's library does not know the reviver's third parameter yet. */
function parse(text: string, reviver: Reviver | undefined): unknown {
  return JSON.parse(text, reviver as Parameters<typeof JSON.parse>[1]);
}
