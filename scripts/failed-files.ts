/** A reporter of node:test: the path of each file with a failed test, one a line, once. */
import type { TestEvent } from "node:test/reporters";

// biome-ignore lint/style/noDefaultExport: as node:test wants a reporter
export default async function* failedFiles(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const seen = new Set<string>();
  for await (const { type, data } of events) {
    if (type !== "test:fail" || data.todo !== undefined) continue;
    // `file` is where the test is written, which may be a helper of several files.
    const { entryFile, file = "" } = data as typeof data & { readonly entryFile?: string };
    const path = entryFile ?? file;
    if (path === "" || seen.has(path)) continue;
    seen.add(path);
    yield `${path}\n`;
  }
}
