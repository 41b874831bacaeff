/** Builds in an engine of this process; see engine-harness. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import type { BuildEvent, BuildRequest, BuildResult } from "../builder/builder.ts";
import type { Engine } from "../engine/engine.ts";

export interface BuildRun extends BuildResult {
  readonly events: readonly BuildEvent[];
  /** Everything that steps wrote. */
  readonly output: string;
  /** The instructions that ran, and those that were found in the cache; without sources and exports. */
  readonly ran: readonly string[];
  readonly cached: readonly string[];
}

export type Wish = Partial<Omit<BuildRequest, "dockerfile">> & { readonly signal?: AbortSignal };

/** Builds, and collects what was told meanwhile; an error has it as `told`. */
export async function build(engine: Engine, dockerfile: string, wish: Wish = {}): Promise<BuildRun> {
  const { signal, ...request } = wish;
  const events: BuildEvent[] = [];
  const { builder } = engine;
  if (builder === undefined) throw new Error("the engine has no builder");
  try {
    const result = await builder.build(
      { dockerfile: { text: dockerfile, name: "Dockerfile" }, ...request },
      { signal, onProgress: (event) => events.push(event) },
    );
    return { ...result, events, ...told(events) };
  } catch (error) {
    throw Object.assign(error as Error, { told: told(events) });
  }
}

function told(events: readonly BuildEvent[]): Pick<BuildRun, "output" | "ran" | "cached"> {
  const done = events.flatMap((event) =>
    event.type === "vertex" && event.vertex.step !== undefined && event.vertex.completedAt !== undefined
      ? [event.vertex]
      : [],
  );
  const texts = (cached: boolean) =>
    done.filter((vertex) => (vertex.cached === true) === cached).map(({ step }) => step?.text ?? "");
  const storing = events.find((event) => event.type === "vertex" && event.vertex.name === "exporting to image");
  const said = (event: BuildEvent) =>
    event.type === "log" && (storing?.type !== "vertex" || event.vertex !== storing.vertex.digest);
  return {
    output: events.map((event) => (event.type === "log" && said(event) ? event.data.toString() : "")).join(""),
    ran: texts(false).filter((text) => !text.startsWith("FROM")),
    cached: texts(true),
  };
}

/** A folder with these files; a value that begins with "-> " is a link. Gone after the test. */
export function makeContext(t: TestContext, files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), "gantry-context-"));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    if (content.startsWith("-> ")) symlinkSync(content.slice(3), join(root, path));
    else writeFileSync(join(root, path), content);
  }
  return root;
}
