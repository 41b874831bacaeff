/** A reporter of node:test: the path of each file with a failed test, one a line, once. */
import type { TestEvent } from "node:test/reporters";

// biome-ignore lint/style/noDefaultExport: as node:test wants a reporter
export default async function* failedFiles(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const seen = new Set<string>();
  for await (const { type, data } of events) {
    if (type !== "test:fail" || data.todo !== undefined || data.file === undefined || seen.has(data.file)) continue;
    seen.add(data.file);
    yield `${data.file}\n`;
  }
}
