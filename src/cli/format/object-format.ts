/** One object by `json` or a template. */

import { goJson } from "../../base/template/json.ts";
import type { Context } from "../context.ts";
import { compiled, guarded } from "./rows-template.ts";

export async function printObject(context: Context, format: string, value: object): Promise<void> {
  if (format === "json") {
    context.out.write(`${goJson(value)}\n`);
    return;
  }
  const template = compiled(format);
  context.out.write(`${guarded(() => template.run(value, { missingKey: "error" }))}\n`);
}
